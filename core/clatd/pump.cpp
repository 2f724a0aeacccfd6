#include "core/clatd/pump.hpp"

namespace clat::clatd {

namespace {

// Packets that are read before other work gets its turn.
constexpr int kBatch = 64;
// More than any queue holds; beyond it the packets are fresh.
constexpr int kMostDrained = 16384;

}  // namespace

bool Pump::may_answer() {
  const bool yes = shared_.may_answer();
  (yes ? counters_.answers : counters_.answers_limited).add(1);
  return yes;
}

void Pump::translate(const xlat::Frame& frame, xlat::Sink& sink) {
  if (const auto now = shared_.mtus.word(); now != mtus_) {
    mtus_ = now;
    translator_.set_mtus(SharedMtus::unpack(now));
  }
  const bool from_ipv4 = frame.data[0] >> 4 == 4;
  const auto verdict = translator_.translate(frame, sink);
  counters_.of(verdict).add(1);
  if (verdict == xlat::Verdict::translated) {
    auto& flow = from_ipv4 ? counters_.to_ipv6 : counters_.to_ipv4;
    flow.packets.add(1);
    flow.bytes.add(frame.size);
  } else {
    shared_.drops.note(verdict, {frame.data, frame.size});
  }
}

std::optional<Stop> Pump::drain() {
  for (std::size_t input = 0; input < inputs().size(); ++input) {
    for (int n = 0; n < kMostDrained; ++n) {
      const auto inbound = port_->read(input);
      if (inbound.state == Inbound::State::ended) return inbound.stop;
      if (inbound.state == Inbound::State::none) break;
      counters_.drained.add(1);
    }
  }
  return std::nullopt;
}

std::optional<Stop> Pump::serve(std::size_t input, bool broken) {
  if (!port_->takes_udp_super_packets()) return serve_batch(input, broken, *this);
  const auto stop = serve_batch(input, broken, coalescer_);
  coalescer_.flush();
  return stop;
}

std::optional<Stop> Pump::serve_batch(std::size_t input, bool broken, xlat::Sink& sink) {
  for (int n = 0; n < kBatch; ++n) {
    const auto inbound = port_->read(input);
    switch (inbound.state) {
      case Inbound::State::packet: translate(inbound.frame, sink); break;
      case Inbound::State::lost: counters_.of(inbound.verdict).add(1); break;
      case Inbound::State::none:
        if (broken && input == 0) return Stop{Stop::Cause::tun_gone};
        return std::nullopt;
      case Inbound::State::ended: return inbound.stop;
    }
  }
  return std::nullopt;
}

}  // namespace clat::clatd
