// Requests of every kind and what is answered, for the tests of persons' operations.
#pragma once

#include "tests/unit/policy/scene.h"

namespace kagami::engine::test {

inline OperatorRequest request_of(OperatorVerb verb, const std::string& subject = "", NodeId node = kNobody) {
    OperatorRequest request;
    request.verb = verb;
    request.subject = subject;
    request.node = node;
    return request;
}

// Asks and lets the policy come to rest.
inline OperatorReply answer_to(Scene& s, OperatorRequest request) {
    s.ask(request.verb, request.subject, request.node);
    request.id = s.requests.back().request.id;
    request.person = "alice";
    s.requests.back().request = request;
    s.settle();
    return s.last_reply();
}

// The same, of a request that must be refused, change nothing and name a remedy.
inline OperatorReply refusal_of(Scene& s, const OperatorRequest& request) {
    s.settle();
    const Document before = s.document;
    const OperatorReply reply = answer_to(s, request);
    CHECK(s.document == before);
    CHECK(s.said(Reason::kOperatorRefused));
    CHECK(reply.outcome == OperatorOutcome::kRefused);
    CHECK(reply.code != 0);
    CHECK_FALSE(reply.remedy.empty());
    return reply;
}

// Another leader, in another memory, takes over.
inline void change_leader(Scene& s, NodeId to) {
    s.self = to;
    s.policy.reset();
    s.leading_since = s.now;
}

inline config::Resource resource(const std::string& name, std::vector<std::string> after = {}) {
    config::Resource made;
    made.type = "dummy";
    made.name = name;
    made.after = std::move(after);
    return made;
}

inline void report_resource(Scene& s, NodeId node, const std::string& name, ResourceState state,
                            const std::string& message = "", const std::string& group = "web") {
    GroupReport& report = s.reported(node, group);
    std::erase_if(report.resources, [&](const ResourceReport& other) { return other.name == name; });
    report.resources.push_back({name, state, message});
}

}  // namespace kagami::engine::test
