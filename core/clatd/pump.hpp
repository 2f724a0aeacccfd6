// Moves packets from one port through a translator of its own and back. One thread's.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "core/clatd/counters.hpp"
#include "core/clatd/port.hpp"
#include "core/clatd/shared.hpp"
#include "core/xlat/coalesce.hpp"
#include "core/xlat/translator.hpp"

namespace clat::clatd {

class Pump final : private xlat::Sink {
 public:
  // The MTUs are those of `shared`, whatever the settings say.
  Pump(const xlat::Settings& settings, std::unique_ptr<Port> port, Shared& shared)
      : port_(std::move(port)), translator_(settings), shared_(shared) {}

  [[nodiscard]] std::span<const int> inputs() const { return port_->inputs(); }
  [[nodiscard]] const Counters& counters() const { return counters_; }

  // Throws away the packets that are queued, and counts them: their senders have long sent them again.
  std::optional<Stop> drain();
  // Translates the packets of one input, at most a batch of them. `broken`: poll() found an error there.
  std::optional<Stop> serve(std::size_t input, bool broken);

 private:
  void send(const xlat::Frame& frame) override { counters_.write_errors.add(port_->write(frame)); }
  bool may_answer() override;
  std::optional<Stop> serve_batch(std::size_t input, bool broken, xlat::Sink& sink);
  void translate(const xlat::Frame& frame, xlat::Sink& sink);

  std::unique_ptr<Port> port_;
  xlat::Translator translator_;
  xlat::Coalescer coalescer_{*this};
  Shared& shared_;
  std::uint32_t mtus_ = 0;  // SharedMtus::word() as the translator knows it
  Counters counters_;
};

}  // namespace clat::clatd
