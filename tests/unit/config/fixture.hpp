// A machine that exists only on paper, and short ways to a parsed config.
#pragma once

#include <string>
#include <string_view>

#include "config/parse.hpp"

namespace clat::config {

// clatd is /opt/bin/clatd, /usr/sbin/clatd is executable too; users are nobody, clat (100:101) and root.
Surroundings paper_machine();

// The whole report on `text`, as of a file named "f"; empty when nothing is wrong with it.
std::string report(std::string_view text);
std::string report(std::string_view text, const Surroundings& surroundings);

// The config of a text with nothing wrong in it; otherwise fails the test.
Config config_of(std::string_view text);

// "interfaces:" with one valid wan0; what is appended continues wan0's keys in line 4, with 4 spaces in front.
std::string wan0(std::string_view line_four = {});

}  // namespace clat::config
