#include "core/clatd/service.hpp"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace clat::clatd {

namespace {

// Translating recurses nowhere and keeps its buffers elsewhere.
constexpr long kStack = 64 << 10;

// Threads meet once, at start; napping there spares the sandbox a futex().
template <class Condition>
void await(Condition&& condition) {
  while (!condition()) poll(nullptr, 0, 1);
}

// One thread's share: a pump, the supervisor, or both.
Stop share(Pump* pump, Responder* responder) {
  std::array<pollfd, 3> fds;
  fds.fill({-1, POLLIN, 0});  // a negative fd has no events
  const auto inputs = pump == nullptr ? std::span<const int>() : pump->inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) fds.at(i).fd = inputs[i];
  pollfd& control = fds.back();
  if (responder != nullptr) control.fd = responder->fd();
  for (;;) {
    if (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return {Stop::Cause::poll_failed, errno};
    }
    if (responder != nullptr && control.revents != 0) {
      if (const auto stop = responder->serve()) return *stop;
    }
    for (std::size_t i = 0; pump != nullptr && i < inputs.size(); ++i) {
      const auto events = fds.at(i).revents;
      if (events == 0) continue;
      if (const auto stop = pump->serve(i, (events & (POLLERR | POLLNVAL)) != 0)) return *stop;
    }
  }
}

Error start_thread(void* (*work)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_t thread;
  int code = pthread_attr_init(&attributes);
  if (code != 0) return {"pthread_attr_init", code};
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  code =
      pthread_attr_setstacksize(&attributes, static_cast<std::size_t>(std::max(kStack, sysconf(_SC_THREAD_STACK_MIN))));
  if (code == 0) code = pthread_create(&thread, &attributes, work, argument);
  pthread_attr_destroy(&attributes);
  return {"pthread_create", code};
}

}  // namespace

void* Service::work(void* argument) {
  const Job job = *static_cast<const Job*>(argument);
  job.service->waiting_.fetch_add(1, std::memory_order_release);
  await([&] { return job.service->open_.load(std::memory_order_acquire); });
  job.service->end_(share(job.pump, nullptr));
  return nullptr;
}

Result<> Service::start_threads() {
  if (pumps_.size() == 1) return {};
  for (const auto& pump : pumps_) jobs_.push_back({this, pump.get()});
  for (auto& job : jobs_) {
    if (auto error = start_thread(work, &job); error.code != 0) return std::unexpected(std::move(error));
  }
  // A thread's start makes system calls of its own.
  await([this] { return waiting_.load(std::memory_order_acquire) == jobs_.size(); });
  return {};
}

Stop Service::run() {
  for (const auto& pump : pumps_) {
    if (const auto stop = pump->drain()) return *stop;
  }
  open_.store(true, std::memory_order_release);
  if (const auto stop = responder_.say_ready()) return *stop;
  return share(pumps_.size() == 1 ? pumps_.front().get() : nullptr, &responder_);
}

}  // namespace clat::clatd
