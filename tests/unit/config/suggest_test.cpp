#include "config/suggest.hpp"

#include <gtest/gtest.h>

#include <array>

namespace clat::config {
namespace {

TEST(Suggest, NearestByEditDistance) {
  constexpr std::array<std::string_view, 5> kWords{"nat64-prefix", "mtu", "mark", "warn", "default-route"};
  struct {
    std::string_view word, nearest;
  } const rows[] = {
      {"nat64-prefx", "nat64-prefix"},   // one missing
      {"nat64_prefix", "nat64-prefix"},  // one replaced
      {"nat64-perfix", "nat64-prefix"},  // two swapped
      {"Mtu", "mtu"},                    //
      {"mut", "mtu"},                    //
      {"marks", "mark"},                 //
      {"warning", "warn"},               // a longer form
      {"default", "default-route"},      // a shorter one
      {"x", ""},                         //
      {"frobnicate", ""},                //
      {"", ""},                          //
  };
  for (const auto& row : rows) EXPECT_EQ(nearest(row.word, kWords), row.nearest) << row.word;
}

TEST(Suggest, AVeryLongWordCostsNothing) {
  constexpr std::array<std::string_view, 1> kWords{"mtu"};
  EXPECT_EQ(suggestion(std::string(1'000'000, 'm'), kWords), "");
  EXPECT_EQ(suggestion("mt", kWords), "; did you mean 'mtu'?");
}

}  // namespace
}  // namespace clat::config
