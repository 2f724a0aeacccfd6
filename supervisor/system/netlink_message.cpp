#include "supervisor/system/netlink_message.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <limits>

namespace clat::system {

namespace {

constexpr std::size_t kLongestText = 256;  // of an extended acknowledgement, bytes

std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

}  // namespace

std::optional<Message> next_message(Bytes& rest) {
  const auto header = read_as<nlmsghdr>(rest);
  if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > rest.size()) {
    rest = {};
    return std::nullopt;
  }
  const Message message{.type = header->nlmsg_type,
                        .flags = header->nlmsg_flags,
                        .sequence = header->nlmsg_seq,
                        .payload = rest.subspan(sizeof(nlmsghdr), header->nlmsg_len - sizeof(nlmsghdr))};
  rest = rest.subspan(std::min(padded(header->nlmsg_len), rest.size()));
  return message;
}

std::optional<Attribute> next_attribute(Bytes& rest) {
  const auto header = read_as<nlattr>(rest);
  if (!header || header->nla_len < sizeof(nlattr) || header->nla_len > rest.size()) {
    rest = {};
    return std::nullopt;
  }
  const Attribute attribute{.type = static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
                            .payload = rest.subspan(sizeof(nlattr), header->nla_len - sizeof(nlattr))};
  rest = rest.subspan(std::min(padded(header->nla_len), rest.size()));
  return attribute;
}

std::optional<Bytes> find_attribute(Bytes attributes, std::uint16_t type) {
  std::optional<Bytes> found;
  while (const auto attribute = next_attribute(attributes)) {
    if (attribute->type == type) found = attribute->payload;
  }
  return found;
}

std::optional<std::string> read_text(Bytes bytes, std::size_t most) {
  const auto end = std::ranges::find(bytes, std::uint8_t{0});
  const auto length = static_cast<std::size_t>(end - bytes.begin());
  if (length > most) return std::nullopt;
  return std::string(bytes.begin(), end);
}

std::optional<Acknowledgement> parse_acknowledgement(const Message& message) {
  if (message.type != NLMSG_ERROR && message.type != NLMSG_DONE) return std::nullopt;
  // A positive or unrepresentable code comes from nobody honest; it is an error all the same.
  const int code = read_as<int>(message.payload).value_or(message.type == NLMSG_DONE ? 0 : -EPROTO);
  Acknowledgement ack{.code = code == std::numeric_limits<int>::min() ? EPROTO : std::abs(code), .text = {}};
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return ack;

  Bytes attributes = attributes_after<int>(message.payload);
  if (message.type == NLMSG_ERROR) {
    const auto error = read_as<nlmsgerr>(message.payload);
    if (!error) return ack;
    // The failed request stands before the attributes: its header alone when capped, else the whole of it.
    std::size_t before = sizeof(nlmsgerr);
    if ((message.flags & NLM_F_CAPPED) == 0) {
      before = sizeof(int) + padded(std::max<std::size_t>(error->msg.nlmsg_len, sizeof(nlmsghdr)));
    }
    attributes = message.payload.size() > before ? message.payload.subspan(before) : Bytes{};
  }
  if (const auto text = find_attribute(attributes, NLMSGERR_ATTR_MSG)) {
    ack.text = read_text(*text, kLongestText).value_or("");
  }
  return ack;
}

}  // namespace clat::system
