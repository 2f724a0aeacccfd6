#include "core/net/dns_answer.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace clat {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kHeader = 12;
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestLabel = 63;
constexpr unsigned kMostPointers = 32;       // of one name
constexpr std::uint16_t kMostRecords = 128;  // of one section
constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kCname = 5;
constexpr std::uint16_t kSoa = 6;
constexpr std::uint16_t kAaaa = 28;

constexpr char lower(std::uint8_t octet) {
  return static_cast<char>(octet >= 'A' && octet <= 'Z' ? octet - 'A' + 'a' : octet);
}

// Labels as they are on the wire, in lower case: a dot inside a label is no border between two.
using Name = std::string;

Name wire_name(std::string_view text) {
  Name name;
  while (!text.empty()) {
    const auto label = text.substr(0, text.find('.'));
    name += static_cast<char>(label.size());
    for (const char each : label) name += lower(static_cast<std::uint8_t>(each));
    text.remove_prefix(std::min(text.size(), label.size() + 1));
  }
  return name;
}

struct Record {
  Name owner;
  std::uint16_t type = 0;
  std::uint16_t class_ = 0;
  std::chrono::seconds ttl{};
  std::size_t data = 0;  // where it begins
  std::size_t size = 0;
};

// Reads from front to back. A read past the end gives nothing, and so does every one after it.
class Reader {
 public:
  explicit Reader(Bytes message, std::size_t at = 0) : message_(message), at_(at) {}

  std::optional<std::uint16_t> word() {
    if (message_.size() - at_ < 2) return std::nullopt;
    at_ += 2;
    return static_cast<std::uint16_t>(message_[at_ - 2] << 8 | message_[at_ - 1]);
  }

  std::optional<std::uint32_t> number() {
    const auto high = word();
    const auto low = high ? word() : std::nullopt;
    return low ? std::optional(std::uint32_t{*high} << 16 | *low) : std::nullopt;
  }

  // RFC 1035 §4.1.4. Pointers lead backwards alone, so they end.
  std::optional<Name> name() {
    Name name;
    std::size_t at = at_;
    std::size_t limit = message_.size();
    unsigned pointers = 0;
    while (at < limit) {
      const std::uint8_t length = message_[at];
      if (length == 0) {
        if (pointers == 0) at_ = at + 1;
        return name;
      }
      if (length > kLongestLabel) {
        if (length < 0xc0 || at + 1 >= message_.size()) return std::nullopt;
        const std::size_t target = (length & 0x3fU) << 8 | message_[at + 1];
        if (target >= at || pointers == kMostPointers) return std::nullopt;
        if (pointers++ == 0) at_ = at + 2;
        limit = at;
        at = target;
        continue;
      }
      if (at + 1 + length > limit || name.size() + 1 + length >= kLongestName) return std::nullopt;
      name += static_cast<char>(length);
      for (const auto octet : message_.subspan(at + 1, length)) name += lower(octet);
      at += 1U + length;
    }
    return std::nullopt;
  }

  std::optional<Record> record() {
    auto owner = name();
    const auto type = owner ? word() : std::nullopt;
    const auto class_ = type ? word() : std::nullopt;
    const auto ttl = class_ ? number() : std::nullopt;
    const auto size = ttl ? word() : std::nullopt;
    if (!size || message_.size() - at_ < *size) return std::nullopt;
    at_ += *size;
    // RFC 2181 §8: one with the first bit set counts as 0.
    const std::chrono::seconds lasts(*ttl > INT32_MAX ? 0 : *ttl);
    return Record{*std::move(owner), *type, *class_, lasts, at_ - *size, *size};
  }

  std::optional<std::vector<Record>> records(std::uint16_t count) {
    std::vector<Record> all;
    if (count > kMostRecords) return std::nullopt;
    for (; count > 0; --count) {
      auto next = record();
      if (!next) return std::nullopt;
      if (next->class_ == kClassIn) all.push_back(*std::move(next));
    }
    return all;
  }

 private:
  Bytes message_;
  std::size_t at_;
};

struct Header {
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;

  [[nodiscard]] bool is_answer() const { return (flags & 0xf800U) == 0x8000U; }  // to a standard query
  [[nodiscard]] bool is_truncated() const { return (flags & 0x0200U) != 0; }
  [[nodiscard]] unsigned code() const { return flags & 0xfU; }
};
constexpr unsigned kNoError = 0;
constexpr unsigned kNoSuchName = 3;

Header header_of(Bytes message) {
  Reader reader(message, 2);  // behind the id
  Header header;
  for (auto* field : {&header.flags, &header.questions, &header.answers, &header.authorities}) *field = *reader.word();
  return header;
}

// Where the aliases of `name` lead, and for how long that holds. Nothing: they lead in a circle, or too far.
struct Target {
  Name name;
  std::chrono::seconds ttl = std::chrono::seconds::max();
};

std::optional<Target> follow_aliases(Bytes message, const std::vector<Record>& answers, Name name) {
  Target target{std::move(name)};
  for (unsigned hops = 0; hops <= kMostAliases; ++hops) {
    const auto alias = std::ranges::find_if(
        answers, [&](const Record& each) { return each.type == kCname && each.owner == target.name; });
    if (alias == answers.end()) return target;
    auto next = Reader(message, alias->data).name();
    if (!next) return std::nullopt;
    target = {*std::move(next), std::min(target.ttl, alias->ttl)};
  }
  return std::nullopt;
}

// RFC 2308 §5: the lesser of the SOA's own TTL and its last field. 0: nobody says.
std::chrono::seconds negative_ttl(Bytes message, const std::vector<Record>& authorities) {
  const auto soa = std::ranges::find(authorities, kSoa, &Record::type);
  constexpr std::size_t kMinimum = 4;  // its size; it is the last
  if (soa == authorities.end() || soa->size < kMinimum) return {};
  const auto minimum = Reader(message, soa->data + soa->size - kMinimum).number();
  return minimum ? std::min(soa->ttl, std::chrono::seconds(*minimum)) : std::chrono::seconds{};
}

}  // namespace

Result<AaaaAnswer> parse_aaaa_answer(Bytes message, std::string_view text) {
  if (message.size() < kHeader) return failure("the answer is too short");
  const Header header = header_of(message);
  if (!header.is_answer()) return failure("what came is no answer");
  if (header.is_truncated()) return failure("the answer is cut off");
  if (header.code() != kNoError && header.code() != kNoSuchName) {
    return failure("the server reports error " + std::to_string(header.code()));
  }
  const Name name = wire_name(text);
  Reader reader(message, kHeader);
  const auto asked = reader.name();
  const auto type = asked ? reader.word() : std::nullopt;
  const auto class_ = type ? reader.word() : std::nullopt;
  if (header.questions != 1 || asked != name || type != kAaaa || class_ != kClassIn) {
    return failure("the answer is to another question");
  }
  const auto answers = reader.records(header.answers);
  if (!answers) return failure("the answer is malformed, or far too long");
  const auto target = follow_aliases(message, *answers, name);
  if (!target) return failure("the aliases in the answer do not end");

  AaaaAnswer result{.ttl = target->ttl};
  bool of_others = false;
  for (const auto& each : *answers) {
    if (each.type != kAaaa || each.size != sizeof(Ipv6Address)) continue;
    of_others |= each.owner != target->name;
    if (each.owner != target->name || result.addresses.size() == kMostAaaaAddresses) continue;
    Ipv6Address address;
    std::ranges::copy_n(message.begin() + static_cast<std::ptrdiff_t>(each.data), sizeof address,
                        address.bytes.begin());
    result.addresses.push_back(address);
    result.ttl = std::min(result.ttl, each.ttl);
  }
  if (!result.addresses.empty()) return result;
  if (of_others) return failure("the answer has addresses of other names alone");
  const auto authorities = reader.records(header.authorities);
  if (!authorities) return failure("the answer is malformed, or far too long");
  result.ttl = std::min(result.ttl, negative_ttl(message, *authorities));
  return result;
}

}  // namespace clat
