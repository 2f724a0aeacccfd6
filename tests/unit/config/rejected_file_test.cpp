// Bad files as a whole: not text, not YAML, not this schema. The report is asserted to the letter.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace clat::config {
namespace {

struct Row {
  std::string description;
  std::string text;
  std::string report;
};

void expect_reports(const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_EQ(report(row.text), row.report) << row.description;
}

TEST(RejectedFile, EmptyInEveryWay) {
  expect_reports({
      {"empty", "", "f:1:1: error: the file is empty\n"},
      {"blank", " \n\n  \r\n", "f:1:1: error: the file is empty\n"},
      {"a byte order mark alone", "\xef\xbb\xbf", "f:1:1: error: the file is empty\n"},
      {"comments", "# one\n# two\n",
       "f:1:1: error: the file holds nothing but comments\n"
       "# one\n"
       "^\n"},
      {"an empty document", "---\n...\n",
       "f:2:1: error: the document is empty\n"
       "...\n"
       "^\n"},
  });
}

TEST(RejectedFile, NotText) {
  expect_reports({
      {"invalid UTF-8", "interfaces:\n  w\xe4n: 1\n",
       "f:2:4: error: byte 0xe4 is not UTF-8 text\n"
       "  w?n: 1\n"
       "   ^\n"},
      {"invalid UTF-8 in a comment", "# caf\xe9\n", "f:1:6: error: byte 0xe9 is not UTF-8 text\n# caf?\n     ^\n"},
      {"UTF-16", std::string("\xff\xfei\0n\0", 6), "f:1:1: error: byte 0xff is not UTF-8 text\n??i?n?\n^\n"},
      {"NUL", std::string("log:\n  level: in\0fo\n", 20),
       "f:2:12: error: control character U+0000 is not allowed\n"
       "  level: in?fo\n"
       "           ^\n"},
      {"an escape sequence for terminals", "a: \x1b[2J\n",
       "f:1:4: error: control character U+001b is not allowed\na: ?[2J\n   ^\n"},
      {"a line break that editors do not count",
       "a: 1\xe2\x80\xa8"
       "b: 2\n",
       "f:1:5: error: control character U+2028 is not allowed\na: 1?b: 2\n    ^\n"},
      {"a byte order mark in the middle",
       "a:\n  \xef\xbb\xbf"
       "b: 2\n",
       "f:2:3: error: control character U+feff is not allowed\n  ?b: 2\n  ^\n"},
  });
}

TEST(RejectedFile, NotYaml) {
  expect_reports({
      {"an open quote", "log: {target: \"stderr}\n",
       "f:1:23: error: not valid YAML: found unexpected end of stream\n"
       "log: {target: \"stderr}\n"
       "                      ^\n"},
      {"an open brace", "log: {level: info\n\n",
       "f:1:18: error: not valid YAML: did not find expected ',' or '}'\n"
       "log: {level: info\n"
       "                 ^\n"},
      {"a tab that indents", "interfaces:\n\twan0:\n",
       "f:2:1: error: not valid YAML: a tab cannot indent; use spaces\n"
       " wan0:\n"
       "^\n"},
      {"a line without a colon", "interfaces:\n  wan0\n  wan1:\n",
       "f:3:7: error: not valid YAML: mapping values are not allowed in this context (a text holding ': ' or ending in "
       "':' needs quotes)\n"
       "  wan1:\n"
       "      ^\n"},
      {"an address that ends in a colon", wan0("ipv6-address: 2001:db8::"),
       "f:4:28: error: not valid YAML: mapping values are not allowed in this context (a text holding ': ' or ending "
       "in "
       "':' needs quotes)\n"
       "    ipv6-address: 2001:db8::\n"
       "                           ^\n"},
      {"bad indentation", "interfaces:\n  wan0:\n    mtu: 1500\n   mark: 1\n",
       "f:4:4: error: not valid YAML: did not find expected key\n"
       "   mark: 1\n"
       "   ^\n"},
      {"an unknown directive version", "%YAML 3.0\n---\na: 1\n",
       "f:1:1: error: not valid YAML: found incompatible YAML document\n"
       "%YAML 3.0\n"
       "^\n"},
      {"two documents", wan0() + "---\n" + wan0(),
       "f:4:1: error: a second YAML document begins here; a config is a single one\n"
       "---\n"
       "^\n"},
  });
}

TEST(RejectedFile, ATreeOfTheWrongShape) {
  expect_reports({
      {"prose", "hello world\n",
       "f:1:1: error: a config consists of keys and values, but here is a single value\n"
       "hello world\n"
       "^\n"},
      {"a list", "- wan0\n",
       "f:1:1: error: a config consists of keys and values, but here is a list\n"
       "- wan0\n"
       "^\n"},
      {"no interfaces", "log: {level: info}\n",
       "f:1:1: error: no interfaces: at least one is needed\n"
       "log: {level: info}\n"
       "^\n"},
      {"interfaces without a value", "interfaces:\n",
       "f:1:12: error: 'interfaces' has no value\n"
       "interfaces:\n"
       "           ^\n"},
      {"an empty set of interfaces", "interfaces: {}\n",
       "f:1:13: error: interfaces: at least one is needed\n"
       "interfaces: {}\n"
       "            ^\n"},
      {"interfaces as a list", "interfaces:\n  - wan0\n",
       "f:2:3: error: 'interfaces' takes keys and values, but here is a list\n"
       "  - wan0\n"
       "  ^\n"},
      {"an interface as a scalar", "interfaces:\n  wan0: 64:ff9b::/96\n",
       "f:2:9: error: 'wan0' takes keys and values, but here is a single value\n"
       "  wan0: 64:ff9b::/96\n"
       "        ^\n"},
      {"an interface without a value", "interfaces:\n  wan0:\n",
       "f:2:8: error: 'wan0' has no value\n"
       "  wan0:\n"
       "       ^\n"},
      {"keys and values for a scalar", wan0("mtu: {ipv6: 1500}"),
       "f:4:10: error: 'mtu' takes a single value, but here is keys and values\n"
       "    mtu: {ipv6: 1500}\n"
       "         ^\n"},
      {"a list for a scalar", wan0("mark: [1, 2]"),
       "f:4:11: error: 'mark' takes a single value, but here is a list\n"
       "    mark: [1, 2]\n"
       "          ^\n"},
      {"a scalar for keys and values", wan0() + "clatd: /usr/sbin/clatd\n",
       "f:4:8: error: 'clatd' takes keys and values, but here is a single value\n"
       "clatd: /usr/sbin/clatd\n"
       "       ^\n"},
      {"a list for keys and values", wan0() + "clatd:\n  restart: [100ms, 30s]\n",
       "f:5:12: error: 'restart' takes keys and values, but here is a list\n"
       "  restart: [100ms, 30s]\n"
       "           ^\n"},
      {"a key that is a list", wan0() + "? [a]\n: b\n",
       "f:4:3: error: a key must be a single word\n"
       "? [a]\n"
       "  ^\n"},
  });
}

TEST(RejectedFile, UnknownKeysAtEveryLevel) {
  expect_reports({
      {"top", wan0() + "ipv4_pool: 192.0.0.0/29\n",
       "f:4:1: error: unknown key 'ipv4_pool'; did you mean 'ipv4-pool'?\n"
       "ipv4_pool: 192.0.0.0/29\n"
       "^\n"},
      {"top, the key that must be there", "interface:\n  wan0: {nat64-prefix: 64:ff9b::/96}\n",
       "f:1:1: error: unknown key 'interface'; did you mean 'interfaces'?\n"
       "interface:\n"
       "^\n"},
      {"interface", wan0("fastpath: off"),
       "f:4:5: error: unknown key 'fastpath'; did you mean 'fast-path'?\n"
       "    fastpath: off\n"
       "    ^\n"},
      {"interface, the key that must be there", "interfaces:\n  wan0:\n    nat64-prefx: 64:ff9b::/96\n",
       "f:3:5: error: unknown key 'nat64-prefx'; did you mean 'nat64-prefix'?\n"
       "    nat64-prefx: 64:ff9b::/96\n"
       "    ^\n"},
      {"default-route", wan0("default-route: {metrik: 1}"),
       "f:4:21: error: unknown key 'metrik'; did you mean 'metric'?\n"
       "    default-route: {metrik: 1}\n"
       "                    ^\n"},
      {"clatd", wan0() + "clatd: {usr: nobody}\n",
       "f:4:9: error: unknown key 'usr'; did you mean 'user'?\n"
       "clatd: {usr: nobody}\n"
       "        ^\n"},
      {"restart", wan0() + "clatd: {restart: {maximum: 1s}}\n",
       "f:4:19: error: unknown key 'maximum'; did you mean 'max'?\n"
       "clatd: {restart: {maximum: 1s}}\n"
       "                  ^\n"},
      {"log, nothing near", wan0() + "log: {colour: red}\n",
       "f:4:7: error: unknown key 'colour'; known here: level, format, target, health-interval\n"
       "log: {colour: red}\n"
       "      ^\n"},
  });
}

TEST(RejectedFile, ReservedKeysAreNotUnknown) {
  for (const std::string key : {"flush-on-failover"}) {
    EXPECT_EQ(report(wan0() + "lan: {" + key + ": x}\n"),
              "f:4:7: error: '" + key + "' is reserved for a later version\nlan: {" + key + ": x}\n      ^\n");
  }
  for (const std::string key : {"table"}) {
    EXPECT_EQ(report(wan0(key + ": x")),
              "f:4:5: error: '" + key + "' is reserved for a later version\n    " + key + ": x\n    ^\n");
  }
}

TEST(RejectedFile, DevicesOfALan) {
  EXPECT_EQ(
      report(wan0() + "lan: {offload: br-lan}\n"),
      "f:4:16: error: 'offload' takes a list, but here is a single value\nlan: {offload: br-lan}\n               ^\n");
  EXPECT_EQ(report(wan0() + "lan: {offload: [a, b, a]}\n"),
            "f:4:16: error: offload: 'a' is named twice\nlan: {offload: [a, b, a]}\n               ^\n");
}

TEST(RejectedFile, DuplicateKeys) {
  expect_reports({
      {"top", wan0() + "log: {level: info}\nlog: {level: warn}\n",
       "f:5:1: error: duplicate key 'log', first in line 4\n"
       "log: {level: warn}\n"
       "^\n"},
      {"interface", wan0() + "  wan0: {nat64-prefix: 64:ff9b::/96}\n",
       "f:4:3: error: duplicate key 'wan0', first in line 2\n"
       "  wan0: {nat64-prefix: 64:ff9b::/96}\n"
       "  ^\n"},
      {"quoted and plain", wan0("mtu: 1500\n    'mtu': 1400"),
       "f:5:5: error: duplicate key 'mtu', first in line 4\n"
       "    'mtu': 1400\n"
       "    ^\n"},
  });
}

TEST(RejectedFile, AnchorsAliasesTagsAndMergeKeys) {
  expect_reports({
      {"anchor and alias", "interfaces:\n  a: &x {nat64-prefix: 64:ff9b::/96}\n  b: *x\n",
       "f:2:6: error: anchors (&) are not supported\n"
       "  a: &x {nat64-prefix: 64:ff9b::/96}\n"
       "     ^\n"
       "f:3:6: error: aliases (*) are not supported\n"
       "  b: *x\n"
       "     ^\n"},
      {"merge key", wan0("<<: {mtu: 1500}"),
       "f:4:5: error: merge keys (<<) are not supported\n"
       "    <<: {mtu: 1500}\n"
       "    ^\n"},
      {"tag", wan0("mtu: !!int 1500"),
       "f:4:10: error: tags (!) are not supported\n"
       "    mtu: !!int 1500\n"
       "         ^\n"},
      {"an anchor on a list item", wan0() + "lan: [&a 1, *a]\n",
       "f:4:6: error: 'lan' takes keys and values, but here is a list\n"
       "lan: [&a 1, *a]\n"
       "     ^\n"
       "f:4:7: error: anchors (&) are not supported\n"
       "lan: [&a 1, *a]\n"
       "      ^\n"
       "f:4:13: error: aliases (*) are not supported\n"
       "lan: [&a 1, *a]\n"
       "            ^\n"},
  });
}

std::string repeated(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(RejectedFile, NestingAndSizeAreBounded) {
  const std::string too_deep = ": error: nested deeper than 16 levels\n";
  EXPECT_TRUE(report(repeated("[", 1'000'000)).starts_with("f:1:17" + too_deep));
  EXPECT_TRUE(report(repeated("{a: ", 250'000)).starts_with("f:1:65" + too_deep));
  EXPECT_TRUE(report(repeated("- ", 500'000)).starts_with("f:1:33" + too_deep));
  EXPECT_TRUE(report(repeated("? ", 500'000)).starts_with("f:1:33" + too_deep));
  EXPECT_TRUE(report("a: [" + repeated("b,", 400'000)).find(": error: more than 262144 keys and values\n") !=
              std::string::npos);
  EXPECT_EQ(report(std::string(1'048'577, '#')), "f:1:1: error: the file is larger than 1048576 bytes\n");
}

TEST(RejectedFile, SixteenLevelsAreNotTooMany) {
  EXPECT_EQ(report(repeated("[", 16) + repeated("]", 16)),
            "f:1:1: error: a config consists of keys and values, but here is a list\n"
            "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n"
            "^\n");
}

TEST(RejectedFile, ALongLineIsClippedAroundThePlace) {
  EXPECT_EQ(report(wan0() + "log: {target: /" + std::string(200, 'x') + ", level: loud}\n"),
            "f:4:225: error: level: 'loud' is not debug, info, warn or error\n"
            "..." +
                std::string(103, 'x') + ", level: loud}\n" + std::string(115, ' ') + "^\n");
}

TEST(RejectedFile, CarriageReturnsDoNotReachTheReport) {
  EXPECT_EQ(report("interfaces:\r\n  wan0:\r\n    nat64-prefix: x\r\n"),
            "f:3:19: error: nat64-prefix: 'x' is not an IPv6 prefix like 64:ff9b::/96\n"
            "    nat64-prefix: x\n"
            "                  ^\n");
}

TEST(RejectedFile, ColumnsCountCharactersBehindTheByteOrderMark) {
  EXPECT_EQ(report("\xef\xbb\xbflog: {target: \xc3\xa4\xc3\xb6, level: loud}\n" + wan0()),
            "f:1:15: error: target: '\xc3\xa4\xc3\xb6' is not stderr, syslog or an absolute path\n"
            "log: {target: \xc3\xa4\xc3\xb6, level: loud}\n"
            "              ^\n"
            "f:1:26: error: level: 'loud' is not debug, info, warn or error\n"
            "log: {target: \xc3\xa4\xc3\xb6, level: loud}\n"
            "                         ^\n");
}

}  // namespace
}  // namespace clat::config
