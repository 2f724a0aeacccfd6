// The clatd program in a process of its own. SOCK_SEQPACKET pairs stand in for the queues of a tun: they keep packet
// bounds, too.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/fd.hpp"
#include "core/clatd/control.hpp"
#include "tests/support/vectors.hpp"

namespace clat::clatd {

using Words = std::vector<std::string>;
Words operator+(Words left, const Words& right);

constexpr int kPatience = 20'000;  // ms; only a failing test waits that long

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

bool readable(const Fd& fd);
// Both close-on-exec.
std::pair<Fd, Fd> socket_pair();
// The vector of that test_name().
const test::Vector& vector_named(const std::string& name);

// Of /proc/PID or /proc/PID/task/TID.
std::string status_field(const std::filesystem::path& task, const std::string& field);

class ClatdProcess : public testing::Test {
 protected:
  // The child gets a tun as 3 and a control socket as 4.
  ClatdProcess();
  ~ClatdProcess() override;

  // argv for the CLAT of test::neutral().
  static Words usual();
  // A further descriptor of the child's.
  void give(Fd fd, int number) { given_.emplace_back(std::move(fd), number); }
  // A pair, the other end of which is the child's; answers ours.
  Fd give_pair(int number);

  void start(Words words = usual());
  void start_and_wait_until_ready(const Words& words = usual());

  [[nodiscard]] std::optional<control::Report> receive() const;
  [[nodiscard]] std::optional<control::Report> ask(control::Request request = {}) const;
  // Until what is counted satisfies: a packet may still be on its way when the first answer comes.
  template <class Condition>
  control::Report ask_until(Condition&& condition) const {
    for (;;) {
      const auto report = ask();
      if (!report || condition(*report)) return report.value_or(control::Report{});
    }
  }
  template <class Message>
  void tell(const Message& message) const {
    ASSERT_EQ(send_control(&message, sizeof message), static_cast<ssize_t>(sizeof message));
  }

  static void put(const Fd& tun, const test::Bytes& packet, const xlat::VnetHeader& vnet = {});
  void put(const test::Bytes& packet, const xlat::VnetHeader& vnet = {}) const { put(tun_, packet, vnet); }
  // Vnet header and packet; empty when none came.
  static test::Bytes take(const Fd& tun);
  [[nodiscard]] test::Bytes take() const { return take(tun_); }
  // Fills the tun's queue until it has no room.
  void flood(const test::Bytes& packet) const;

  // Exit status, or 1000 + the signal.
  int finish();
  void signal(int number) const;
  [[nodiscard]] int pid() const { return pid_; }
  // stdout and stderr, until the child closes them.
  [[nodiscard]] std::string output() const;
  // The next line of it.
  [[nodiscard]] std::string line() const;

  Fd tun_, control_, output_;

 private:
  [[nodiscard]] ssize_t send_control(const void* message, std::size_t size) const;

  int pid_ = -1;
  std::vector<std::pair<Fd, int>> given_;
};

}  // namespace clat::clatd
