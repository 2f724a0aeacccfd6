// Asks the DNS of uplinks for their NAT64 prefixes (RFC 7050), each over its own uplink.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "supervisor/loop/loop.hpp"
#include "supervisor/model/nat64_question.hpp"
#include "supervisor/sources/dns_query.hpp"

namespace clat::sources {

class Nat64Resolver {
 public:
  static constexpr std::chrono::seconds kShortestTtl{30};
  static constexpr std::chrono::seconds kLongestTtl = std::chrono::hours(24);

  // May ask and cancel. Called in a later turn of the loop than ask(), once for each question that is neither cancelled
  // nor replaced.
  using Sink = std::function<void(model::Nat64Answer)>;
  // `loop` outlives the resolver.
  Nat64Resolver(loop::Loop& loop, Sink sink) : loop_(loop), sink_(std::move(sink)) {}
  Nat64Resolver(const Nat64Resolver&) = delete;  // queries refer to it
  Nat64Resolver& operator=(const Nat64Resolver&) = delete;

  // Replaces the question of the same uplink.
  void ask(const model::Nat64Question& question);
  void cancel(const std::string& uplink) { queries_.erase(uplink); }

 private:
  void answered(const std::string& uplink, Result<DnsQuery::Message> message);

  loop::Loop& loop_;
  Sink sink_;
  std::map<std::string, std::unique_ptr<DnsQuery>> queries_;  // by uplink
};

}  // namespace clat::sources
