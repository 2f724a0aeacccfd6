// Echoes in fragments, in any order, on the way through one translator. What must come out is cut from the whole echo
// of the other family.
#include "core/xlat/echo_fragments.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/support/vector_parts.hpp"
#include "xlat_run.hpp"
#include "xlat_sanity.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;
using test::Cut;
using test::operator+;

// One echo on its way; `id` is its Identification, and makes its content different from any other's.
struct Echo {
  const test::Scene* scene;
  test::Direction direction = test::Direction::to_ipv6;
  std::uint16_t id = 1;
  std::size_t size = 4000;  // of the data behind the ICMP header
  bool request = true;
  test::Sum sum = test::Sum::right;
  bool df = false;

  [[nodiscard]] std::size_t message_size() const { return kIcmpHeader + size; }
  [[nodiscard]] Bytes in(const Cut& cut) const { return is_out() ? four(cut) : six(cut); }
  [[nodiscard]] Bytes out(const Cut& cut) const { return is_out() ? six(cut) : four(cut); }

 private:
  [[nodiscard]] bool is_out() const { return direction == test::Direction::to_ipv6; }
  [[nodiscard]] Bytes data() const { return test::counting(size, static_cast<std::uint8_t>(id)); }
  [[nodiscard]] Bytes four(const Cut& cut) const {
    auto header = is_out() ? test::out4(*scene) : test::in4(*scene);
    header.df = df && is_out();
    return test::piece4(header, test::icmp4(request ? 8 : 0, 0, id, data(), sum), cut, id);
  }
  [[nodiscard]] Bytes six(const Cut& cut) const {
    const auto header = is_out() ? test::out6(*scene) : test::in6(*scene);
    return test::piece6(header, test::icmp6(request ? 128 : 129, 0, id, data(), sum), cut, id);
  }
};

// Where it is cut: at multiples of 8.
std::vector<Cut> cuts(std::size_t message_size, const std::vector<std::size_t>& places) {
  std::vector<Cut> all;
  std::size_t from = 0;
  for (const auto place : places) {
    all.push_back({from, place - from, true});
    from = place;
  }
  all.push_back({from, message_size - from, false});
  return all;
}
std::vector<Cut> three(const Echo& echo) { return cuts(echo.message_size(), {1448, 2896}); }

// What comes out of one translator.
class Way {
 public:
  explicit Way(const test::Clat& clat) : translator_(make(clat)) {}

  Verdict send(const Bytes& packet) {
    auto outcome = run(translator_, packet);
    came_ = outcome.packets.size();
    for (auto& sent : outcome.packets) {
      EXPECT_EQ(sent.vnet, VnetHeader{});
      packets.push_back(std::move(sent.bytes));
    }
    return outcome.verdict;
  }
  [[nodiscard]] std::size_t came() const { return came_; }  // with the last packet
  Translator& translator() { return translator_; }
  std::vector<Bytes> packets;

 private:
  Translator translator_;
  std::size_t came_ = 0;
};

class EchoFragmentsOf : public testing::TestWithParam<test::Scene> {
 protected:
  template <class Check>
  void for_each_echo(Check check) {
    for (const auto direction : {test::Direction::to_ipv6, test::Direction::to_ipv4}) {
      for (const bool request : {true, false}) check(Echo{&GetParam(), direction, 0x1234, 4000, request});
    }
  }
};

TEST_P(EchoFragmentsOf, ComeOutInAnyOrder) {
  for_each_echo([](const Echo& echo) {
    const auto pieces = three(echo);
    std::vector<Bytes> expected;
    for (const auto& cut : pieces) expected.push_back(echo.out(cut));
    std::array<std::size_t, 3> order{0, 1, 2};
    do {
      Way way(echo.scene->clat());
      bool last_came = false;
      for (const auto i : order) {
        last_came = last_came || i == 2;
        EXPECT_EQ(name(way.send(echo.in(pieces[i]))), i == 0 && !last_came ? "held" : "translated");
      }
      EXPECT_TRUE(std::ranges::is_permutation(way.packets, expected));
    } while (std::ranges::next_permutation(order).found);
  });
}

TEST_P(EchoFragmentsOf, KeepAWrongChecksumWrongByTheSameDifference) {
  for_each_echo([](Echo echo) {
    echo.sum = test::Sum::wrong;
    Way way(echo.scene->clat());
    for (const auto& cut : three(echo)) way.send(echo.in(cut));
    EXPECT_EQ(std::ranges::count(way.packets, echo.out(three(echo)[0])), 1);
  });
}

// Many at once, cut anywhere, in any order, both ways; no more than there is room for.
TEST_P(EchoFragmentsOf, ComeOutOfAnyMixture) {
  std::mt19937 random(20260103);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  Way way(GetParam().clat());
  std::uint16_t id = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<std::pair<Echo, Cut>> pieces;
    std::vector<Bytes> expected;
    for (std::size_t n = 1 + below(EchoFragments::kMost); n > 0; --n) {
      const auto direction = below(2) == 0 ? test::Direction::to_ipv6 : test::Direction::to_ipv4;
      const Echo echo{&GetParam(), direction, ++id, 100 + below(6000), below(2) == 0};
      std::vector<std::size_t> places;
      for (std::size_t at = 8 * (1 + below(12)); at < echo.message_size(); at += 8 * (1 + below(180))) {
        places.push_back(at);
      }
      for (const auto& cut : cuts(echo.message_size(), places)) {
        pieces.emplace_back(echo, cut);
        expected.push_back(echo.out(cut));
      }
    }
    std::ranges::shuffle(pieces, random);
    way.packets.clear();
    for (const auto& [echo, cut] : pieces) {
      const auto verdict = way.send(echo.in(cut));
      ASSERT_TRUE(verdict == Verdict::translated || (verdict == Verdict::held && cut.from == 0)) << name(verdict);
    }
    ASSERT_TRUE(std::ranges::is_permutation(way.packets, expected)) << "round " << round;
  }
}

// Few Identifications, lengths and offsets that lie, bytes changed anywhere: what is held stays inside its slot.
TEST_P(EchoFragmentsOf, DoNoHarm) {
  std::mt19937 random(20260104);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  const auto clat = GetParam().clat();
  auto translator = make(clat);
  std::size_t held = 0, both = 0;
  for (int i = 0; i < 3'000; ++i) {
    const auto direction = below(2) == 0 ? test::Direction::to_ipv6 : test::Direction::to_ipv4;
    const Echo echo{&GetParam(), direction, static_cast<std::uint16_t>(below(12)), 100 + below(2200)};
    const std::size_t from = below(2) == 0 ? 0 : 8 * below(echo.message_size() / 8);
    const bool more = from == 0 || below(4) == 0;
    const std::size_t size = below(echo.message_size() - from + 1);
    auto bytes = echo.in({from, more ? size / 8 * 8 : size, more});
    if (below(4) == 0) bytes[below(bytes.size())] = static_cast<std::uint8_t>(random());
    if (below(8) == 0) bytes.resize(below(bytes.size() + 20));
    const auto outcome = run(translator, bytes);
    ASSERT_EQ(fault(clat, outcome, bytes, held), "") << test::hex(bytes);
    if (outcome.verdict == Verdict::held) held = std::max(held, bytes.size());
    both += outcome.packets.size() == 2 ? 1 : 0;
  }
  EXPECT_GT(both, 200U) << "else it tests nothing";
}

INSTANTIATE_TEST_SUITE_P(Scenes, EchoFragmentsOf, testing::ValuesIn(test::scenes()), [](const auto& scene) {
  auto text = scene.param.name;
  std::erase(text, '/');
  return "prefix_" + text;
});

const Echo kEcho{&test::operators96()};
const auto kThree = three(kEcho);

Echo with_id(std::uint16_t id, Echo echo = kEcho) {
  echo.id = id;
  return echo;
}

TEST(EchoFragments, OfWhichTheFirstWaitsComeOutInOrder) {
  Way way(kEcho.scene->clat());
  EXPECT_EQ(name(way.send(kEcho.in(kThree[0]))), "held");
  EXPECT_EQ(way.came(), 0U);
  EXPECT_EQ(name(way.send(kEcho.in(kThree[2]))), "translated");
  EXPECT_EQ(way.packets, (std::vector<Bytes>{kEcho.out(kThree[0]), kEcho.out(kThree[2])}));
}

TEST(EchoFragments, InTheMiddleDoNotWait) {
  Way way(kEcho.scene->clat());
  EXPECT_EQ(name(way.send(kEcho.in(kThree[1]))), "translated");
  EXPECT_EQ(way.packets, std::vector<Bytes>{kEcho.out(kThree[1])});
}

// One Identification, and neither mixes with another: directions, peers, addresses of ours.
TEST(EchoFragments, OfDifferentDatagramsAreKeptApart) {
  auto clat = kEcho.scene->clat();
  clat.ranges = {*RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96")};
  auto other_peer = *kEcho.scene, other_own = *kEcho.scene;
  other_peer.peer4 = "192.0.2.34";
  other_peer.peer6 = "2001:db8:122:344::c000:222";
  other_own.v4 = "192.168.1.7";
  other_own.v6 = "2001:db8:1:c1a7::c0a8:107";
  std::vector<Echo> echoes;
  for (const test::Scene* scene : std::initializer_list<const test::Scene*>{kEcho.scene, &other_peer, &other_own}) {
    for (const auto direction : {test::Direction::to_ipv6, test::Direction::to_ipv4}) {
      echoes.push_back({scene, direction, 7, 2000 + 100 * echoes.size()});
    }
  }
  Way way(clat);
  std::vector<Bytes> expected;
  for (const auto& echo : echoes) EXPECT_EQ(name(way.send(echo.in({0, 1448, true}))), "held");
  for (const auto& echo : echoes) {
    const auto pieces = cuts(echo.message_size(), {1448});
    EXPECT_EQ(name(way.send(echo.in(pieces[1]))), "translated");
    for (const auto& cut : pieces) expected.push_back(echo.out(cut));
  }
  EXPECT_EQ(way.packets, expected);
}

TEST(EchoFragments, MakeRoomForTheNewest) {
  Way way(kEcho.scene->clat());
  constexpr std::uint16_t kAll = EchoFragments::kMost + 3;
  for (std::uint16_t id = 0; id < kAll; ++id) EXPECT_EQ(name(way.send(with_id(id).in(kThree[0]))), "held");
  for (std::uint16_t id = 0; id < kAll; ++id) {
    EXPECT_EQ(name(way.send(with_id(id).in(kThree[2]))), "translated");
    EXPECT_EQ(way.came(), id < 3 ? 1U : 2U) << id;
    EXPECT_EQ(way.packets.back(), with_id(id).out(kThree[2]));
  }
}

// Lone first fragments push each other out, lone last ones do nothing to them.
TEST(EchoFragments, AreServedAfterAFlood) {
  Way way(kEcho.scene->clat());
  for (std::uint16_t id = 0; id < 1000; ++id) way.send(with_id(id).in(kThree[0]));
  const auto echo = with_id(5000);
  way.send(echo.in(kThree[0]));
  for (std::uint16_t id = 2000; id < 3000; ++id) way.send(with_id(id).in(kThree[2]));
  EXPECT_EQ(name(way.send(echo.in(kThree[2]))), "translated");
  EXPECT_EQ(way.came(), 2U);
  EXPECT_EQ(way.packets.at(way.packets.size() - 2), echo.out(kThree[0]));
  const auto reversed = with_id(5001);
  way.send(reversed.in(kThree[2]));
  EXPECT_EQ(name(way.send(reversed.in(kThree[0]))), "translated");
  EXPECT_EQ(way.packets.back(), reversed.out(kThree[0]));
}

// What has gone out makes room: no other echo is pushed out of its slot.
TEST(EchoFragments, FreeTheirSlot) {
  Way way(kEcho.scene->clat());
  const auto patient = with_id(9999);
  EXPECT_EQ(name(way.send(patient.in(kThree[0]))), "held");
  for (std::uint16_t id = 0; id < 100; ++id) {
    const bool reversed = id % 2 == 1;
    way.send(with_id(id).in(kThree[reversed ? 2 : 0]));
    way.send(with_id(id).in(kThree[reversed ? 0 : 2]));
    EXPECT_EQ(way.came(), reversed ? 1U : 2U);
  }
  EXPECT_EQ(name(way.send(patient.in(kThree[2]))), "translated");
  EXPECT_EQ(way.came(), 2U);
}

TEST(EchoFragments, ThatComeTwiceGoOutAsOftenButTheFirst) {
  Way way(kEcho.scene->clat());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(name(way.send(kEcho.in(kThree[0]))), "held");
  EXPECT_EQ(name(way.send(kEcho.in(kThree[2]))), "translated");
  EXPECT_EQ(way.came(), 2U);
  EXPECT_EQ(name(way.send(kEcho.in(kThree[2]))), "translated");
  EXPECT_EQ(way.came(), 1U);
  EXPECT_EQ(way.packets, (std::vector<Bytes>{kEcho.out(kThree[0]), kEcho.out(kThree[2]), kEcho.out(kThree[2])}));
}

// A length of another datagram, long gone, whose Identification comes again: wrong, and seen to be.
TEST(EchoFragments, OfTwoDatagramsMakeAWrongChecksum) {
  Way way(kEcho.scene->clat());
  auto longer = kEcho;
  longer.size += 8;
  way.send(longer.in(three(longer)[2]));
  EXPECT_EQ(name(way.send(kEcho.in(kThree[0]))), "translated");
  const auto right = kEcho.out(kThree[0]);
  auto& wrong = way.packets.back();
  EXPECT_NE(Bytes(wrong.begin() + 50, wrong.begin() + 52), Bytes(right.begin() + 50, right.begin() + 52));
  std::copy_n(right.begin() + 50, 2, wrong.begin() + 50);
  EXPECT_EQ(wrong, right) << "the checksum alone";
}

TEST(EchoFragments, ThatOverlapAreTheReceiversToRefuse) {
  Way way(kEcho.scene->clat());
  const Cut inside{8, 16, false};  // ends before the first one does
  EXPECT_EQ(name(way.send(kEcho.in(kThree[0]))), "held");
  EXPECT_EQ(name(way.send(kEcho.in(inside))), "translated");
  EXPECT_EQ(way.packets.size(), 2U);
  EXPECT_EQ(way.packets.back(), kEcho.out(inside));
}

TEST(EchoFragments, OfOtherIcmpAreNotHeld) {
  const auto& scene = test::operators96();
  Way way(scene.clat());
  const auto error = test::icmp4(3, 1, 0, test::from_peer(scene, test::udp(test::counting(100))).four);
  EXPECT_EQ(name(way.send(test::piece4(test::out4(scene), error, {0, 64, true}))), "icmp-fragment");
  const std::size_t rest = error.bytes.size() - 64;
  EXPECT_EQ(name(way.send(test::piece4(test::out4(scene), error, {64, rest, false}))), "translated");
  EXPECT_EQ(way.packets.size(), 1U);
  // Not even when the last came before.
  EXPECT_EQ(name(way.send(test::piece4(test::out4(scene), error, {0, 64, true}))), "icmp-fragment");
}

TEST(EchoFragments, AreCutForTheNextMtuAsAnyOther) {
  auto clat = kEcho.scene->clat();
  clat.mtus = {.ipv6 = 1500, .lowest_ipv6 = 1280};
  Way way(clat);
  for (const auto& cut : kThree) way.send(kEcho.in(cut));
  std::vector<Bytes> expected;
  for (const auto& cut : cuts(kEcho.message_size(), {1232, 1448, 2680, 2896})) expected.push_back(kEcho.out(cut));
  EXPECT_TRUE(std::ranges::is_permutation(way.packets, expected));
}

// Judged by the MTU of the moment it goes out.
TEST(EchoFragments, ThatAreTooBigAreAnswered) {
  auto echo = kEcho;
  echo.df = true;
  Way way(echo.scene->clat());
  EXPECT_EQ(name(way.send(echo.in(kThree[0]))), "held");
  way.translator().set_mtus({.ipv6 = 1400, .lowest_ipv6 = 1400});
  EXPECT_EQ(name(way.send(echo.in(kThree[2]))), "translated");
  const auto answer = test::answered(test::drop6("B7", "", *echo.scene, echo.in(kThree[0]), Verdict::too_big),
                                     *echo.scene, {3, 4, 1400 - 28});
  ASSERT_EQ(way.packets.size(), 2U);
  EXPECT_EQ(test::mismatch(answer, way.packets[0]), "");
  EXPECT_EQ(way.packets[1], echo.out(kThree[2]));
}

TEST(EchoFragments, MayHaveHeadersToSkipAndBytesBehind) {
  const auto& scene = test::operators96();
  Echo echo{&scene, test::Direction::to_ipv4};
  const auto whole = test::icmp6(128, 0, echo.id, test::counting(echo.size, 1));
  auto header = test::in6(scene);
  header.chain_first = 0;
  header.chain = Bytes{44, 0, 1, 4, 0, 0, 0, 0} + test::fragment_header(58, 0, true, 0xabcd0000U | echo.id);
  const auto first = test::packet(header, test::piece(header, whole, 0, 1448)) + Bytes(7, 0x77);
  Way way(scene.clat());
  EXPECT_EQ(name(way.send(first)), "held");
  EXPECT_EQ(name(way.send(test::piece6(test::in6(scene), whole, kThree[2], 0xabcd0000U | echo.id))), "translated");
  EXPECT_EQ(way.packets, (std::vector<Bytes>{echo.out(kThree[0]), echo.out(kThree[2])}));
}

}  // namespace
}  // namespace clat::xlat
