// A new .tar.gz of small files, readable by its owner alone. Nothing that is there is replaced; a file that was not
// finished is removed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

namespace kagami::cli {

class Archive {
 public:
    static Result<std::unique_ptr<Archive>> create(const std::string& path);
    ~Archive();
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;

    Status add(const std::string& name, std::string_view content);
    Status finish();

 private:
    struct Writer;
    explicit Archive(std::unique_ptr<Writer> writer);
    std::unique_ptr<Writer> writer_;
};

}  // namespace kagami::cli
