// The supervisor's end of a child's control socket. What comes from the child is hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/clatd/control.hpp"

namespace clat::loop {

// Size, version and kind (ready or report).
Result<control::Report> decode_report(std::span<const std::byte> message);

// One child's: its protocol, apart from when to read.
class ControlChannel {
 public:
  struct Listener {
    std::function<void(const control::Report&)> ready;   // once
    std::function<void(const control::Report*)> answer;  // to what was asked; null: there will be none
    std::function<void(const Error&)> violation;
  };

  ControlChannel() = default;
  explicit ControlChannel(Fd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool waiting() const { return answered_ != asked_; }

  // Nothing is sent while an answer is due: that one will do.
  Result<> request();
  // Sent also while an answer is due; answered by a report of its own.
  Result<> tell_mtus(std::uint32_t mtu, std::uint32_t lowest_ipv6_mtu);

  // At most kBatch messages. False: over, the child closed it or sent what the protocol does not know. The descriptor
  // stays open for the watch to end first.
  static constexpr int kBatch = 16;
  bool read(const Listener& listener);

 private:
  enum class Next { more, later, close };
  Next read_one(const Listener& listener);
  Result<> accept(const control::Report& message, const Listener& listener);
  Result<> send(control::Request request);

  Fd fd_;
  bool closed_ = false;
  bool ready_ = false;
  // Cookies: of the latest that was sent, and of the latest that was answered.
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
};

}  // namespace clat::loop
