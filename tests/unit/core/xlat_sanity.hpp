// What must hold for whatever comes in, properties and fuzzer alike.
#pragma once

#include <string>

#include "core/xlat/mapping.hpp"
#include "xlat_run.hpp"

namespace clat::xlat {

inline bool is_icmp_error(const test::Bytes& packet) {
  const bool six = packet[0] >> 4 == 6;
  const std::size_t at = six ? 40 : (packet[0] & 15U) * 4U;
  if (packet.size() <= at || packet[six ? 6 : 9] != (six ? 58 : 1)) return false;
  return six ? packet[at] < 128 : packet[at] == 3 || packet[at] == 11 || packet[at] == 12;
}

// Of anything that comes out: lengths that agree with its headers, and addresses that are ours to speak for.
inline std::string packet_fault(const test::Clat& clat, const Packet& packet) {
  const auto& [bytes, vnet] = packet;
  const OwnSide own(clat.v4, clat.v6, clat.ranges);
  if (bytes.size() < 20) return "shorter than a header";
  if (bytes[0] >> 4 == 6) {
    if (bytes.size() < 40 || bytes.size() != 40U + load_be16(&bytes[4])) return "Payload Length";
    if (!own.find(load_halves(&bytes[8]))) return "source is not the CLAT's";
    if (!Mapping(clat.prefix).contains(load_halves(&bytes[24]))) return "destination is outside the prefix";
  } else {
    if (bytes[0] != 0x45 || bytes.size() != load_be16(&bytes[2])) return "IHL or Total Length";
    if (!own.find(load_be32(&bytes[16]))) return "destination is not the CLAT's";
    if (auto fault = test::checksum_fault(bytes, true); !fault.empty()) return fault;
  }
  const bool unfinished = (vnet.flags & VnetHeader::kNeedsChecksum) != 0;
  if (unfinished && vnet.checksum_start + vnet.checksum_offset + 2U > bytes.size()) return "checksum offset";
  if (!unfinished && vnet.gso_type == VnetHeader::kGsoUdp) return "a UDP super-packet that no kernel takes";
  return {};
}

// An answer: one at most, after the sink was asked, never to an error, itself an error with the right checksums.
inline std::string answer_fault(const Outcome& outcome, const test::Bytes& input) {
  if (outcome.packets.size() > 1) return "more than one answer";
  if (outcome.asked < static_cast<int>(outcome.packets.size())) return "answers without leave";
  for (const auto& [bytes, vnet] : outcome.packets) {
    if (is_icmp_error(input)) return "an error about an error";
    if (!is_icmp_error(bytes) || bytes[0] >> 4 != input[0] >> 4) return "no error in the sender's family";
    if (bytes.size() > std::min<std::size_t>(input.size() + 48, bytes[0] >> 4 == 6 ? 1280 : 576))
      return "answer's size";
    if (vnet != VnetHeader{}) return "answer asks for offloads";
    return test::checksum_fault(bytes);
  }
  return {};
}

inline std::string translation_fault(const test::Clat& clat, const Outcome& outcome, const test::Bytes& input) {
  if (outcome.asked != 0 || outcome.packets.empty()) return "translated, and nothing came of it";
  for (const auto& [bytes, vnet] : outcome.packets) {
    // A header and a Fragment Header; twice in an ICMP error, whose quote may be padded by a word.
    if (bytes.size() > input.size() + (is_icmp_error(bytes) ? 28 + 28 + 4 : 28)) return "growth";
    if (bytes[0] >> 4 == input[0] >> 4) return "still of its family";
    const bool cut = outcome.packets.size() > 1;
    if (cut && bytes.size() > clat.mtus.sane().lowest_ipv6) return "cut, and still too large";
    if (cut && vnet != VnetHeader{}) return "cut, and still asks for offloads";
  }
  return {};
}

// Empty, or what is wrong. `held`: size of the largest packet that was held before, and may come out with this one,
// translated or answered; 0: there was none.
inline std::string fault(const test::Clat& clat, const Outcome& outcome, const test::Bytes& input,
                         std::size_t held = 0) {
  for (const auto& packet : outcome.packets) {
    if (auto fault = packet_fault(clat, packet); !fault.empty()) return fault;
  }
  if (outcome.verdict == Verdict::held && !outcome.packets.empty()) return "held, and something comes out";
  if (held != 0 && outcome.packets.size() > 1) {
    const auto too_large = [&](const Packet& packet) {
      return packet.bytes.size() > std::max(held, input.size()) + 48;
    };
    return std::ranges::any_of(outcome.packets, too_large) ? "growth" : "";
  }
  if (outcome.verdict == Verdict::translated) return translation_fault(clat, outcome, input);
  return answer_fault(outcome, input);
}

}  // namespace clat::xlat
