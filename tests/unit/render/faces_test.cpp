// Each face of the status, to the letter.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "statuses.hpp"
#include "supervisor/render/fields.hpp"
#include "supervisor/render/metrics.hpp"
#include "supervisor/render/table.hpp"

namespace clat::render {
namespace {

using test::all;
using test::up;
using test::waiting;

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(std::string(CLAT_SOURCE_DIR) + "/" + path).rdbuf();
  return text.str();
}

TEST(Table, HasARowForEachAndSaysWhyNot) {
  EXPECT_EQ(table(all(), Paint::no),
            "IFACE  STATE    SINCE  IPV4       PREFIX            PATH  CLATD      RX    TX\n"
            "wan0   up       3h12m  192.0.0.4  64:ff9b::/96      tcx   running  3.0M  6.9K\n"
            "wwan0  waiting  7s     -          2001:db8:64::/96  none  none        -     -\n"
            "\n"
            "wwan0: no carrier\n");
}

TEST(Table, FitsATerminal) {
  auto status = all();
  status.interfaces[0].name = "wwp0s20f0u3i12a";
  status.interfaces[0].prefix = Nat64Prefix::parse("2001:db8:1234:5678:9a:bcde::/96").value();
  status.interfaces[0].v4 = Ipv4Address::parse("192.168.100.200");
  std::istringstream lines(table(status, Paint::no));
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, line.size());
  EXPECT_LE(widest, 80U) << table(status, Paint::no);
  EXPECT_NE(table(status, Paint::no).find("+ tcx"), std::string::npos) << "the prefix gives way, and shows it";
}

TEST(Table, IsPaintedWhereThatIsWished) {
  EXPECT_EQ(table(all(), Paint::no).find('\x1b'), std::string::npos);
  EXPECT_NE(table(all(), Paint::yes).find("\x1b[32mup\x1b[0m     "), std::string::npos);
}

TEST(Detail, HasEverything) {
  EXPECT_EQ(
      detail(up(), Paint::no),
      "interface: wan0\n"
      "  state: up for 3h12m\n"
      "  IPv4 address: 192.0.0.4 on v4-wan0\n"
      "  IPv6 address: 2001:db8:1::c1a7\n"
      "  NAT64 prefix: 64:ff9b::/96, advertised by fe80::1, for 29m more\n"
      "  next hop: fe80::1\n"
      "  MTU: 1480 IPv4, 1500 IPv6\n"
      "  default route: metric 2048\n"
      "  path: tcx\n"
      "  clatd: running, pid 812, 0 restarts\n"
      "  received: 3.00 MiB in 200 packets by the fast path (1.00 MiB/s)\n"
      "  sent: 4.00 KiB in 100 packets by the fast path (2.00 KiB/s), 2.93 KiB in 2 packets by clatd (1.46 KiB/s)\n"
      "  dropped: 3 connected\n");
  auto of_lan = up();
  of_lan.ranges = {RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96").value()};
  EXPECT_NE(detail(of_lan, Paint::no).find("\n  one to one: 192.168.1.0/24 in 2001:db8:1:c1a7::/96\n"),
            std::string::npos);
  EXPECT_EQ(detail(waiting(), Paint::no),
            "interface: wwan0\n"
            "  state: waiting for 7s\n"
            "  reason: no carrier\n"
            "  NAT64 prefix: 2001:db8:64::/96, from the config\n"
            "  default route: none, by the config\n"
            "  path: none\n"
            "  clatd: none, 0 restarts\n");
}

TEST(Show, GivesOneValue) {
  EXPECT_EQ(show(up(), "ipv4"), "192.0.0.4");
  EXPECT_EQ(show(up(), "state_seconds"), "11520.000");
  EXPECT_EQ(show(up(), "fast_rx_bytes_per_second"), "1048576");
  EXPECT_EQ(show(up(), "default_route_taken"), "false");
  EXPECT_EQ(show(waiting(), "reason_code"), "no-carrier");
  EXPECT_EQ(show(waiting(), "ipv4"), "");
  EXPECT_EQ(show(waiting(), "fast_rx_bytes_per_second"), "") << "nothing was counted twice";
  EXPECT_EQ(show(up(), "ipv"), std::nullopt);
}

TEST(JsonFace, HoldsEveryField) {
  auto status = all();
  status.interfaces[0].ranges = {RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96").value()};
  const auto text = json(status, "1.2.3", 77);
  EXPECT_TRUE(text.starts_with(
      R"({"schema":1,"version":"1.2.3","pid":77,"uptime_seconds":14400.000,"config":"/etc/clatvisor/clatvisor.yaml","reloads":1,"findings":[],"interfaces":[{"name":"wan0","state":"up","state_seconds":11520.000,)"))
      << text;
  for (const auto& field : fields()) EXPECT_NE(text.find('"' + std::string(field.name) + "\":"), std::string::npos);
  EXPECT_NE(
      text.find(
          R"("prefixes":[{"prefix":"64:ff9b::/96","source":"ra","router":"fe80::1","expires_seconds":1740.000}])"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("ranges":[{"ipv4_source":"192.168.1.0/24","ipv6_source":"2001:db8:1:c1a7::/96"}])"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("findings":[{"code":"no-carrier","text":"no carrier.","next":"Look at)"), std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("counters":{"fast_to_ipv6_tcp_packets":100,)"), std::string::npos) << text;
}

TEST(Fields, AreThoseOfTheManual) {
  const auto manual = text_of("docs/clatctl.1");
  std::set<std::string> names;
  for (const auto& field : fields()) {
    EXPECT_TRUE(names.emplace(field.name).second) << field.name << " twice";
    EXPECT_NE(manual.find(".It Cm " + std::string(field.name) + "\n"), std::string::npos) << field.name;
  }
  std::istringstream lines(manual.substr(manual.find(".Sh FIELDS")));
  for (std::string line; std::getline(lines, line) && (line == ".Sh FIELDS" || !line.starts_with(".Sh"));) {
    if (!line.starts_with(".It Cm ")) continue;
    EXPECT_TRUE(names.contains(line.substr(7))) << line;
  }
}

TEST(Metrics, AreWellFormed) {
  std::istringstream lines(metrics(all(), "1.2.3"));
  std::string family;
  std::set<std::string> families;
  std::set<std::string> seen;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(family.starts_with("clatvisor_")) << line;
      EXPECT_TRUE(families.insert(family).second) << "twice: " << line;
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(line == "# TYPE " + family + " gauge" || line == "# TYPE " + family + " counter") << line;
      EXPECT_EQ(line.ends_with("counter"), family.ends_with("_total")) << line;
    } else {
      EXPECT_EQ(line.substr(0, line.find_first_of("{ ")), family) << line;
      EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second) << "twice: " << line;
    }
  }
}

std::set<std::string> metric_names(const std::string& text) {
  std::set<std::string> names;
  const std::regex name("clatvisor_[a-z0-9_]+");
  for (std::sregex_iterator at(text.begin(), text.end(), name); at != std::sregex_iterator(); ++at)
    names.insert(at->str());
  return names;
}

TEST(Metrics, AreThoseOfTheDocuments) {
  const auto told = metric_names(metrics(all(), "1.2.3"));
  EXPECT_EQ(metric_names(text_of("docs/metrics.md")), told);
  for (const auto* page : {"docs/grafana-dashboard.json", "docs/prometheus-alerts.yml"}) {
    const auto used = metric_names(text_of(page));
    EXPECT_GE(used.size(), 5U) << page;
    for (const auto& name : used) EXPECT_TRUE(told.contains(name)) << page << ": " << name;
  }
}

TEST(Metrics, Tell) {
  const auto text = metrics(all(), "1.2.3");
  for (const auto* line : {
           "clatvisor_info{version=\"1.2.3\"} 1\n",
           "clatvisor_interface_up{interface=\"wan0\"} 1\n",
           "clatvisor_interface_up{interface=\"wwan0\"} 0\n",
           "clatvisor_interface_state{interface=\"wwan0\",state=\"waiting\"} 1\n",
           "clatvisor_clatd_restarts_total{interface=\"wan0\"} 0\n",
           "clatvisor_packets_total{interface=\"wan0\",direction=\"to_ipv4\",path=\"fast\"} 200\n",
           "clatvisor_bytes_total{interface=\"wan0\",direction=\"to_ipv6\",path=\"clatd\"} 3000\n",
           "clatvisor_dropped_packets_total{interface=\"wan0\",path=\"fast\",reason=\"connected\"} 3\n",
           "clatvisor_punted_packets_total{interface=\"wan0\",direction=\"to_ipv6\",reason=\"fragment\"} 2\n",
           "clatvisor_icmp_errors_total{interface=\"wan0\"} 1\n",
       }) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace clat::render
