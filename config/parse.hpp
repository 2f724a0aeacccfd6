// A config file as validated values, or everything that is wrong with it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/problem.hpp"
#include "config/surroundings.hpp"

namespace clat::config {

using Parsed = std::expected<Config, std::vector<Problem>>;

// At most 1 MiB of UTF-8. All problems at once, in the order of the file, unless it is not YAML at all: then the first.
Parsed parse(std::string_view text, const Surroundings& surroundings);

// Reads and parses. Anything but a regular file is refused without reading from it, so a FIFO does not block.
Parsed load(const std::string& path, const Surroundings& surroundings);

// A line that says that nothing is wrong with the file.
std::string acceptance(const std::string& path, const Config& config);

}  // namespace clat::config
