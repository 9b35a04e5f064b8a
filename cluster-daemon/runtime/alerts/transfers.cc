#include "cluster-daemon/runtime/alerts/transfers.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "common/text.h"

namespace kagami::runtime::alerts {
namespace {

long milliseconds(Duration duration) {
    return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

void append(List& list, const std::string& text) {
    curl_slist* longer = curl_slist_append(list.get(), text.c_str());
    if (longer == nullptr) return;
    (void)list.release();
    list.reset(longer);
}

// One request with all that libcurl reads while it is under way.
struct Transfer {
    std::string destination;
    bool mail = false;
    std::unique_ptr<CURL, FreeEasy> easy{curl_easy_init()};
    List list;  // receivers or headers
    std::string content;
    size_t sent = 0;
    bool broken_off = false;
    std::array<char, CURL_ERROR_SIZE> error{};
};

size_t read_content(char* buffer, size_t size, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    const size_t length = std::min(size * count, transfer.content.size() - transfer.sent);
    std::memcpy(buffer, transfer.content.data() + transfer.sent, length);
    transfer.sent += length;
    return length;
}

int keep_on(void* user, curl_off_t /*to_read*/, curl_off_t /*read*/, curl_off_t /*to_send*/, curl_off_t /*sent*/) {
    return static_cast<const Transfer*>(user)->broken_off ? 1 : 0;
}

size_t ignore_answer(char* /*data*/, size_t size, size_t count, void* /*user*/) {
    return size * count;
}

void prepare(Transfer& transfer, const TransferLimits& limits, const std::string& ca_file) {
    CURL* easy = transfer.easy.get();
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error.data());
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &ignore_answer);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &keep_on);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(limits.connect));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(limits.whole));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, transfer.mail ? "smtp,smtps" : "http,https");
    if (!ca_file.empty()) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file.c_str());
        curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    }
}

void prepare_mail(Transfer& transfer, const MailRequest& request) {
    CURL* easy = transfer.easy.get();
    const config::MailAlerts& to = request.to;
    const bool v6 = to.server.find(':') != std::string::npos;
    const std::string url = fmt::format("{}://{}{}{}:{}", to.tls == config::MailTls::kTls ? "smtps" : "smtp",
                                        v6 ? "[" : "", to.server, v6 ? "]" : "", to.port);
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    const bool encrypted = to.tls != config::MailTls::kNone;
    curl_easy_setopt(easy, CURLOPT_USE_SSL, static_cast<long>(encrypted ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    if (!to.user.empty()) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, to.user.c_str());
        curl_easy_setopt(easy, CURLOPT_PASSWORD, request.password.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, ("<" + to.from + ">").c_str());
    for (const std::string& receiver : to.to) append(transfer.list, "<" + receiver + ">");
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, transfer.list.get());
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);  // one that is gone must not cost the others theirs
    transfer.content = request.mail;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &read_content);
    curl_easy_setopt(easy, CURLOPT_READDATA, &transfer);
}

void prepare_webhook(Transfer& transfer, const WebhookRequest& request) {
    CURL* easy = transfer.easy.get();
    curl_easy_setopt(easy, CURLOPT_URL, request.to.url.c_str());
    append(transfer.list, "Content-Type: application/json");
    append(transfer.list, "Expect:");
    append(transfer.list, "X-Kagami-Id: " + request.id);
    if (!request.signature.empty()) append(transfer.list, "X-Kagami-Signature: " + request.signature);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.list.get());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "kagami/" KAGAMI_VERSION);
    transfer.content = request.body;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.content.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer.content.size()));
}

Finished judge_webhook(long status) {
    if (status >= 200 && status < 300) return {"", Delivery::kDone, ""};
    const bool unwanted = status == 400 || status == 413 || status == 415 || status == 422;
    return {"", unwanted ? Delivery::kRefused : Delivery::kFailed,
            fmt::format("it answers with HTTP status {}", status)};
}

Finished judge(const Transfer& transfer, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && !transfer.mail) return judge_webhook(status);
    if (code == CURLE_OK) return {"", Delivery::kDone, ""};
    const char* detail = transfer.error[0] != '\0' ? transfer.error.data() : curl_easy_strerror(code);
    std::string words = one_line(detail);
    // 530 to 538 are about login and encryption: a person can repair that.
    const bool about_us = code == CURLE_LOGIN_DENIED || code == CURLE_USE_SSL_FAILED;
    const bool permanent = transfer.mail && !about_us && status >= 550 && status <= 554;
    return {"", permanent ? Delivery::kRefused : Delivery::kFailed, std::move(words)};
}

}  // namespace

struct Transfers::Impl {
    explicit Impl(TransferLimits given) : limits(given) {}
    ~Impl() {
        while (!running.empty()) break_off(running.begin()->first);
        curl_multi_cleanup(multi);
    }
    Transfer& fresh(const std::string& destination, bool mail) {
        break_off(destination);
        auto& slot = running[destination];
        slot = std::make_unique<Transfer>();
        slot->destination = destination;
        slot->mail = mail;
        return *slot;
    }
    void end(const std::string& destination) {
        const auto at = running.find(destination);
        if (at == running.end()) return;
        curl_multi_remove_handle(multi, at->second->easy.get());
        running.erase(at);
    }
    // libcurl says good-bye to a mail server and waits for the answer, unless keep_on() tells it that it need not.
    void break_off(const std::string& destination) {
        const auto at = running.find(destination);
        if (at == running.end()) return;
        at->second->broken_off = true;
        end(destination);
    }

    TransferLimits limits;
    CURLM* multi = curl_multi_init();
    std::map<std::string, std::unique_ptr<Transfer>> running;
};

Transfers::Transfers(TransferLimits limits) {
    static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);  // threads come later
    (void)once;
    impl_ = std::make_unique<Impl>(limits);
}
Transfers::~Transfers() = default;

void Transfers::start(const std::string& destination, const MailRequest& request) {
    Transfer& transfer = impl_->fresh(destination, true);
    prepare(transfer, impl_->limits, request.to.ca_file);
    prepare_mail(transfer, request);
    curl_multi_add_handle(impl_->multi, transfer.easy.get());
}

void Transfers::start(const std::string& destination, const WebhookRequest& request) {
    Transfer& transfer = impl_->fresh(destination, false);
    prepare(transfer, impl_->limits, request.to.ca_file);
    prepare_webhook(transfer, request);
    curl_multi_add_handle(impl_->multi, transfer.easy.get());
}

void Transfers::cancel(const std::string& destination) {
    impl_->break_off(destination);
}

bool Transfers::busy(const std::string& destination) const {
    return impl_->running.contains(destination);
}

std::vector<Finished> Transfers::wait(Duration at_most) {
    int count = 0;
    curl_multi_perform(impl_->multi, &count);
    std::vector<Finished> all;
    const auto collect = [&] {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(impl_->multi, &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            char* own = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &own);
            const auto& transfer = *reinterpret_cast<Transfer*>(own);
            Finished finished = judge(transfer, message->data.result);
            finished.destination = transfer.destination;
            impl_->end(finished.destination);
            all.push_back(std::move(finished));
        }
    };
    collect();
    if (!all.empty()) return all;
    curl_multi_poll(impl_->multi, nullptr, 0, static_cast<int>(std::min(milliseconds(at_most), 3'600'000L)), nullptr);
    curl_multi_perform(impl_->multi, &count);
    collect();
    return all;
}

void Transfers::wake() {
    curl_multi_wakeup(impl_->multi);
}

std::string shown(const config::MailAlerts& mail) {
    return fmt::format("{}:{}", mail.server, mail.port);
}

std::string shown(const config::WebhookAlerts& webhook) {
    const size_t machine = webhook.url.find("//") + 2;
    return webhook.url.substr(0, webhook.url.find_first_of("/?#", machine));
}

}  // namespace kagami::runtime::alerts
