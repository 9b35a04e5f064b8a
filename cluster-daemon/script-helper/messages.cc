#include "cluster-daemon/script-helper/messages.h"

#include <algorithm>

namespace kagami::script_helper {
namespace {

constexpr const char* kVersionRemedy = "daemon and script helper must be of one version: restart both";

void put(ByteWriter& out, const host::ScriptRequest& script) {
    out.string(script.group);
    out.string(script.resource);
    out.u32(static_cast<uint32_t>(script.argv.size()));
    for (const auto& argument : script.argv) out.string(argument);
    out.u32(static_cast<uint32_t>(script.environment.size()));
    for (const auto& [name, value] : script.environment) {
        out.string(name);
        out.string(value);
    }
    out.string(script.log_name);
    out.boolean(script.background);
    out.u8(static_cast<uint8_t>(script.mark));
}

host::ScriptRequest take_script(ByteReader& in) {
    host::ScriptRequest script;
    script.group = in.string(kMaxTextBytes);
    script.resource = in.string(kMaxTextBytes);
    for (uint32_t left = in.count(kMaxArguments); left > 0 && in.ok(); --left)
        script.argv.push_back(in.string(kMaxTextBytes));
    for (uint32_t left = in.count(kMaxEnvironment); left > 0 && in.ok(); --left) {
        std::string name = in.string(kMaxTextBytes);
        script.environment[std::move(name)] = in.string(kMaxTextBytes);
    }
    script.log_name = in.string(kMaxTextBytes);
    script.background = in.boolean();
    const uint8_t mark = in.u8();
    if (mark <= static_cast<uint8_t>(host::Mark::kInactive)) {
        script.mark = static_cast<host::Mark>(mark);
    } else {
        in.fail();
    }
    return script;
}

bool fits(const host::ScriptRequest& script) {
    const auto short_enough = [](const std::string& text) { return text.size() <= kMaxTextBytes; };
    return short_enough(script.group) && short_enough(script.resource) && short_enough(script.log_name) &&
           script.argv.size() <= kMaxArguments && script.environment.size() <= kMaxEnvironment &&
           std::all_of(script.argv.begin(), script.argv.end(), short_enough) &&
           std::all_of(script.environment.begin(), script.environment.end(),
                       [&](const auto& entry) { return short_enough(entry.first) && short_enough(entry.second); });
}

void put(ByteWriter& out, const Listed& listed) {
    out.u64(listed.id);
    out.string(listed.group);
    out.string(listed.resource);
    out.string(std::string_view(listed.program).substr(0, kMaxListedProgramBytes));
    out.u32(static_cast<uint32_t>(listed.pid));
    out.boolean(listed.running);
    out.boolean(listed.background);
}

Listed take_listed(ByteReader& in) {
    Listed listed;
    listed.id = in.u64();
    listed.group = in.string(kMaxTextBytes);
    listed.resource = in.string(kMaxTextBytes);
    listed.program = in.string(kMaxTextBytes);
    listed.pid = static_cast<int>(in.u32());
    listed.running = in.boolean();
    listed.background = in.boolean();
    return listed;
}

bool known_error(uint8_t code) {
    return code >= static_cast<uint8_t>(ErrorCode::kFailed) && code <= static_cast<uint8_t>(ErrorCode::kDegraded);
}

std::optional<Error> take_error(ByteReader& in) {
    if (!in.boolean()) return std::nullopt;
    const uint8_t code = in.u8();
    Error error;
    if (known_error(code)) {
        error.code = static_cast<ErrorCode>(code);
    } else {
        in.fail();
    }
    error.message = in.string(kMaxTextBytes);
    error.remedy = in.string(kMaxTextBytes);
    return error;
}

}  // namespace

Reply error_reply(Error error) {
    Reply reply;
    reply.error = std::move(error);
    return reply;
}

Result<Bytes> encode(const Request& request) {
    ByteWriter out;
    out.u8(kProtocolVersion);
    out.u8(static_cast<uint8_t>(request.verb));
    out.i64(request.deadline.time_since_epoch().count());
    put(out, request.script);
    if (!fits(request.script) || out.view().size() > kMaxMessageBytes)
        return fail(
            ErrorCode::kUsage,
            request.script.group + "." + request.script.resource + ": its arguments and environment are too large",
            "keep every one of them below 4 KiB and all together below 58 KiB");
    return out.take();
}

Bytes encode(const Reply& reply) {
    ByteWriter out;
    out.u8(kProtocolVersion);
    out.boolean(reply.error.has_value());
    if (reply.error) {
        out.u8(static_cast<uint8_t>(reply.error->code));
        out.string(std::string_view(reply.error->message).substr(0, kMaxTextBytes));
        out.string(std::string_view(reply.error->remedy).substr(0, kMaxTextBytes));
    }
    out.u32(static_cast<uint32_t>(reply.result.exit_code));
    out.u32(static_cast<uint32_t>(reply.result.signal));
    out.boolean(reply.result.timed_out);
    out.string(std::string_view(reply.result.last_output).substr(0, kMaxTextBytes));
    const uint32_t processes = static_cast<uint32_t>(std::min<size_t>(reply.processes.size(), kMaxProcesses));
    out.u32(processes);
    for (uint32_t i = 0; i < processes; ++i) out.u32(static_cast<uint32_t>(reply.processes[i]));
    out.boolean(reply.started.active);
    out.u32(static_cast<uint32_t>(reply.started.main));
    out.boolean(reply.started.main_alive);
    const uint32_t listed = static_cast<uint32_t>(std::min<size_t>(reply.list.size(), kMaxListed));
    out.u32(listed);
    for (uint32_t i = 0; i < listed; ++i) put(out, reply.list[i]);
    return out.take();
}

Result<Request> decode_request(std::span<const uint8_t> packet) {
    ByteReader in(packet);
    Request request;
    const uint8_t version = in.u8();
    const uint8_t verb = in.u8();
    request.verb = static_cast<Verb>(verb);
    request.deadline = Instant(Duration(in.i64()));
    request.script = take_script(in);
    const bool known = version == kProtocolVersion && verb >= static_cast<uint8_t>(Verb::kRun) &&
                       verb <= static_cast<uint8_t>(Verb::kList);
    if (!known || !in.finished() || packet.size() > kMaxMessageBytes)
        return fail(ErrorCode::kUsage, "a request that the script helper does not understand", kVersionRemedy);
    return request;
}

Result<Reply> decode_reply(std::span<const uint8_t> packet) {
    ByteReader in(packet);
    Reply reply;
    if (in.u8() != kProtocolVersion) in.fail();
    reply.error = take_error(in);
    reply.result.exit_code = static_cast<int>(in.u32());
    reply.result.signal = static_cast<int>(in.u32());
    reply.result.timed_out = in.boolean();
    reply.result.last_output = in.string(kMaxTextBytes);
    for (uint32_t left = in.count(kMaxProcesses); left > 0 && in.ok(); --left)
        reply.processes.push_back(static_cast<int>(in.u32()));
    reply.started.active = in.boolean();
    reply.started.main = static_cast<int>(in.u32());
    reply.started.main_alive = in.boolean();
    for (uint32_t left = in.count(kMaxListed); left > 0 && in.ok(); --left) reply.list.push_back(take_listed(in));
    if (!in.finished())
        return fail(ErrorCode::kUsage, "an answer of the script helper that is not understood", kVersionRemedy);
    return reply;
}

}  // namespace kagami::script_helper
