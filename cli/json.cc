#include "cli/json.h"

#include <google/protobuf/util/json_util.h>

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>

namespace kagami::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

Json to_json(const Message& message);

Json single(const Message& message, const FieldDescriptor* field) {
    const Reflection* reflection = message.GetReflection();
    switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_INT32: return reflection->GetInt32(message, field);
        case FieldDescriptor::CPPTYPE_INT64: return reflection->GetInt64(message, field);
        case FieldDescriptor::CPPTYPE_UINT32: return reflection->GetUInt32(message, field);
        case FieldDescriptor::CPPTYPE_UINT64: return reflection->GetUInt64(message, field);
        case FieldDescriptor::CPPTYPE_DOUBLE: return reflection->GetDouble(message, field);
        case FieldDescriptor::CPPTYPE_FLOAT: return reflection->GetFloat(message, field);
        case FieldDescriptor::CPPTYPE_BOOL: return reflection->GetBool(message, field);
        case FieldDescriptor::CPPTYPE_ENUM: return reflection->GetEnum(message, field)->name();
        case FieldDescriptor::CPPTYPE_STRING: return reflection->GetString(message, field);
        case FieldDescriptor::CPPTYPE_MESSAGE: break;
    }
    if (!reflection->HasField(message, field)) return nullptr;
    return to_json(reflection->GetMessage(message, field));
}

// Lists of texts, and lists of messages; the service has no others.
Json repeated(const Message& message, const FieldDescriptor* field) {
    const Reflection* reflection = message.GetReflection();
    Json list = Json::array();
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
        if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
            list.push_back(to_json(reflection->GetRepeatedMessage(message, field, i)));
        } else {
            list.push_back(reflection->GetRepeatedString(message, field, i));
        }
    }
    return list;
}

Json map(const Message& message, const FieldDescriptor* field) {
    Json object = Json::object();
    for (const Json& entry : repeated(message, field)) object[entry["key"].get<std::string>()] = entry["value"];
    return object;
}

Json to_json(const Message& message) {
    Json json = Json::object();
    const auto* descriptor = message.GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
        const FieldDescriptor* field = descriptor->field(i);
        json[field->name()] = field->is_map()        ? map(message, field)
                              : field->is_repeated() ? repeated(message, field)
                                                     : single(message, field);
    }
    return json;
}

}  // namespace

std::string json_document(const std::string& name, const Message& message, bool one_line) {
    Json json;
    json["schema"] = "kagami." + name + "/1";
    json.update(to_json(message));
    return dump(json, one_line);
}

std::string dump(const Json& json, bool one_line) {
    return json.dump(one_line ? -1 : 2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<control::v1::Status> status_from_json(const std::string& text) {
    control::v1::Status status;
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto parsed = google::protobuf::util::JsonStringToMessage(text, &status, options);
    if (!parsed.ok()) return fail(ErrorCode::kUsage, "this is no status in JSON: " + parsed.ToString(), "");
    return status;
}

}  // namespace kagami::cli
