#include "supervisor/ctl/request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace clat::ctl {
namespace {

TEST(Request, IsReadWordByWord) {
  const auto read = [](std::string_view line) {
    const auto request = parse(line);
    EXPECT_TRUE(request) << line << ": " << request.error();
    return request.value_or(Request{});
  };
  EXPECT_EQ(read("status"), (Request{.verb = Verb::status}));
  EXPECT_EQ(read("status --json wan0"), (Request{.verb = Verb::status, .iface = "wan0", .json = true}));
  EXPECT_EQ(read("status wan0 --healthy --color"),
            (Request{.verb = Verb::status, .iface = "wan0", .colour = true, .healthy = true}));
  EXPECT_EQ(read("show wan0 ipv4"), (Request{.verb = Verb::show, .iface = "wan0", .field = "ipv4"}));
  EXPECT_EQ(read("explain"), (Request{.verb = Verb::explain}));
  EXPECT_EQ(read("events --follow"), (Request{.verb = Verb::events, .follow = true}));
  EXPECT_EQ(read("metrics"), (Request{.verb = Verb::metrics}));
  EXPECT_EQ(read("check"), (Request{.verb = Verb::check}));
  EXPECT_EQ(read("reload"), (Request{.verb = Verb::reload}));
  EXPECT_EQ(read("restart wan0"), (Request{.verb = Verb::restart, .iface = "wan0"}));
  EXPECT_EQ(read("handover"), (Request{.verb = Verb::handover}));
}

TEST(Request, ThatIsWrongSaysWhy) {
  struct Case {
    std::string line;
    std::string why;
  };
  const std::vector<Case> cases{
      {"", "the request is empty"},
      {" status", "there is no command ''"},
      {"statuss", "there is no command 'statuss'"},
      {"Status", "there is no command 'Status'"},
      {"status  wan0", "status: there is a space too many"},
      {"show  ipv4", "show: there is a space too many"},
      {"restart ", "restart: there is a space too many"},
      {"status wan0 wwan0", "status: there is a word too many"},
      {"status --follow", "status: there is no option '--follow'"},
      {"status --js", "status: there is no option '--js'"},
      {"events --json", "events: there is no option '--json'"},
      {"show wan0", "show: IFACE FIELD is missing"},
      {"restart", "restart: IFACE is missing"},
      {"reload now", "reload: there is a word too many"},
      {"status \x1b[2J", "the request holds control characters"},
      {std::string("status\0", 7), "the request holds control characters"},
      {std::string(kLongestRequest + 1, 'a'), "the request is too long"},
  };
  for (const auto& each : cases) {
    const auto request = parse(each.line);
    ASSERT_FALSE(request) << each.line;
    EXPECT_EQ(request.error(), each.why);
  }
}

TEST(Request, ThatChangesSomethingIsForRoot) {
  for (const auto verb : {Verb::reload, Verb::restart, Verb::handover}) EXPECT_TRUE(changes(verb));
  for (const auto verb : {Verb::status, Verb::show, Verb::explain, Verb::events, Verb::metrics, Verb::check}) {
    EXPECT_FALSE(changes(verb));
  }
}

}  // namespace
}  // namespace clat::ctl
