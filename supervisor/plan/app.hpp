// The one door: every event goes through App::handle, and only from here do actions reach the edge.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/plan/plan.hpp"

namespace clat::plan {

class Edge {
 public:
  virtual ~Edge() = default;
  // Does it. The result is returned, or comes later as an event of its own; Exit has none.
  virtual std::optional<Event> execute(const Action& action) = 0;
};

class App {
 public:
  using Clock = std::function<TimePoint()>;
  using NoticeSink = std::function<void(const Notice&)>;

  App(Edge& edge, Clock clock, NoticeSink tell, std::uint64_t seed)
      : edge_(edge), clock_(std::move(clock)), tell_(std::move(tell)) {
    world_.random.state = seed;
  }

  // Applies, plans, executes, and goes on with the results until nothing is left to do now, or until the edge was busy
  // for kSlice: what then is left is due at once. Events that the edge raises meanwhile are taken in turn. While
  // something is left, only a Tick goes on: were each event worth a slice, a hundred answers of children would wait for
  // seconds, the last until it is too late.
  void handle(std::vector<Event> events);
  void handle(Event event) { handle(std::vector<Event>{std::move(event)}); }

  // Hundreds of uplinks keep the kernel busy for seconds: signals, children and the watchdog must not wait so long.
  static constexpr std::chrono::milliseconds kSlice{50};

  // When to hand in a Tick if nothing else happens before.
  [[nodiscard]] std::optional<TimePoint> wake_at() const;
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] const World& world() const { return world_; }

 private:
  Scope drain();
  // Whether there was time for all.
  bool execute(const std::vector<Action>& actions);
  void put_off(const Action& action, TimePoint now);

  Edge& edge_;
  Clock clock_;
  NoticeSink tell_;
  World world_;
  std::vector<Event> queue_;
  std::optional<TimePoint> wake_at_;
  std::map<std::string, TimePoint> wakes_;  // by uplink
  bool busy_ = false;
  bool done_ = false;
};

}  // namespace clat::plan
