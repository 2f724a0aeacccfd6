// The one error type of the project: what failed, and the errno behind it.
#pragma once

#include <cstring>
#include <expected>
#include <string>
#include <utility>

namespace clat {

// Errors are values. A function returns one or logs one, never both; only the top of the program logs.
// Each level that knows more puts its own words in front: `return std::unexpected(error.in("create v4-wan0"))`.
struct Error {
  std::string what;
  int code = 0;  // errno, or 0 where no system call failed

  bool operator==(const Error&) const = default;

  [[nodiscard]] Error in(const std::string& context) && {
    what = context + ": " + what;
    return std::move(*this);
  }
  [[nodiscard]] Error in(const std::string& context) const& { return Error(*this).in(context); }

  // "create v4-wan0: TUNSETIFF: Device or resource busy"
  [[nodiscard]] std::string text() const { return code == 0 ? what : what + ": " + std::strerror(code); }
};

template <class T = void>
using Result = std::expected<T, Error>;

// As it came, with the context in front of an error.
inline Result<> in_context(Result<> result, const std::string& context) {
  if (!result) result = std::unexpected(std::move(result).error().in(context));
  return result;
}

inline std::unexpected<Error> failure(std::string what, int code = 0) {
  return std::unexpected(Error{std::move(what), code});
}

}  // namespace clat
