#include "tests/component/cli/run_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

extern char** environ;

namespace kagami::cli {

Ran run_program(const std::vector<std::string>& command, const std::string& directory) {
    const std::string path = directory + "/output";
    std::vector<std::string> words = command;
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    pid_t child = 0;
    const int error = ::posix_spawn(&child, arguments[0], &files, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    if (error != 0) return {127, "cannot be run"};
    int status = 0;
    ::waitpid(child, &status, 0);
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, text.str()};
}

}  // namespace kagami::cli
