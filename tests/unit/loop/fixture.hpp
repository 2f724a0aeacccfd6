// A loop whose events are collected.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "supervisor/loop/loop.hpp"

namespace clat::loop {

class LoopTest : public ::testing::Test {
 protected:
  LoopTest() {
    ::alarm(60);  // what never happens fails the test
    auto created = Loop::create(sink());
    if (created) loop_ = std::move(*created);
  }
  ~LoopTest() override { ::alarm(0); }

  Sink sink() {
    return [this](model::Event event) {
      events_.push_back(std::move(event));
      check();
    };
  }

  // Runs until `condition`, which is looked at after each event and whenever a test calls check().
  void run_until(std::function<bool()> condition) {
    condition_ = std::move(condition);
    if (!condition_()) loop_->run();
    EXPECT_TRUE(condition_()) << "the loop ran out of things to wait for";
    condition_ = nullptr;
  }
  void check() {
    if (condition_ && condition_()) loop_->stop();
  }

  template <class T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& event : events_) {
      if (const T* match = std::get_if<T>(&event)) found.push_back(*match);
    }
    return found;
  }

  std::unique_ptr<Loop> loop_;
  std::vector<model::Event> events_;

 private:
  std::function<bool()> condition_;
};

}  // namespace clat::loop
