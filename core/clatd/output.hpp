// Lines on stderr, which the supervisor logs. No heap: once shut in, clatd has no more of it.
#pragma once

#include <string_view>

namespace clat::clatd {

void write_all(int fd, std::string_view text);

// "clatd: what: No such file or directory"; one write, so that lines of several processes do not mix.
void complain(std::string_view what, int code = 0);

// "clatd: what", but only when stderr has room for it at once. False: it had not.
bool mention(std::string_view what);

}  // namespace clat::clatd
