// A machine of its own for one test: directories, and the command line with its three streams.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace kagami::cli {

extern const std::string kValidToml;  // two nodes and a witness, a group of type dummy

const config::TypeCatalogue& bench_types();  // the types that it knows

class Bench {
 public:
    Bench();
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    // Exit code; `out` and `err` hold what was written. With `typed`, stdin is a terminal on which that is typed.
    int run(const std::vector<std::string>& arguments);
    int run_typing(const std::vector<std::string>& arguments, const std::string& typed);
    int run_piping(const std::vector<std::string>& arguments, const std::string& input);
    int clpstat(const std::vector<std::string>& arguments);
    // By another name of the program, with `input` piped in.
    using Program = std::function<int(Session&, const std::vector<std::string>&)>;
    int run_as(const Program& program, const std::vector<std::string>& arguments, const std::string& input = "");
    std::string out;
    std::string err;

    std::string write(const std::string& name,
                      const std::string& content) const;  // below the machine's root; returns the path
    Places places;
    std::filesystem::path root;

 private:
    int run_with(const Program& program, const std::vector<std::string>& arguments, const std::string& input, bool terminal);
};

}  // namespace kagami::cli
