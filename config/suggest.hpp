#pragma once

#include <span>
#include <string>
#include <string_view>

namespace clat::config {

// The candidate that `word` is most likely a slip of, by edit distance; empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// "; did you mean 'mtu'?", or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace clat::config
