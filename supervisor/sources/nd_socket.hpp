// Neighbour discovery of our own on one link: what its routers advertise, what its neighbours say of the CLAT's
// address, and a way to ask them, and to tell them where it is. By a packet socket, which hears what the kernel does
// not listen to (forwarding=1, accept_ra=0) and what a firewall's input chain drops, and sends from what is no address
// of this host.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/base/token_bucket.hpp"
#include "core/net/neighbour_message.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::sources {

class NdSocket {
 public:
  // `loop` outlives the socket.
  static Result<std::unique_ptr<NdSocket>> open(loop::Loop& loop, const model::ListenSpec& spec, loop::Sink sink);
  NdSocket(const NdSocket&) = delete;  // the watch refers to it
  NdSocket& operator=(const NdSocket&) = delete;

  // What is heard from now on. Of the same link.
  Result<> change(const model::ListenSpec& spec);
  // Sends a Router Solicitation.
  Result<> solicit();
  // Sends an unsolicited Neighbour Advertisement.
  Result<> advertise(const AddressClaim& claim);
  // Sends a Neighbour Solicitation that probes for duplicates.
  Result<> probe(const AddressProbe& probe);
  // Messages that there were too many of.
  [[nodiscard]] std::uint64_t unheard() const { return unheard_; }

 private:
  NdSocket(const model::ListenSpec& spec, Fd socket, loop::Sink sink)
      : spec_(spec), socket_(std::move(socket)), sink_(std::move(sink)) {}
  void read();
  std::optional<model::Event> hear_router(std::span<const std::uint8_t> packet);
  std::optional<model::Event> hear_neighbour(std::span<const std::uint8_t> packet, const MacAddress& sender);
  Result<> send(std::span<const std::uint8_t> packet, const MacAddress& to);

  model::ListenSpec spec_;
  Fd socket_;
  loop::Sink sink_;
  // A storm of advertisements costs so many turns of the plan; what is said over and over is heard all the same.
  TokenBucket heed_routers_{20, std::chrono::seconds(1), 50};
  // Each has its own: a storm of the one leaves the other alone.
  TokenBucket heed_neighbours_{5, std::chrono::seconds(1), 20};
  std::uint64_t unheard_ = 0;
  bool told_flood_ = false;
  std::array<std::uint8_t, 1600> buffer_{};
  loop::Watch watch_;  // after the descriptor it watches
};

}  // namespace clat::sources
