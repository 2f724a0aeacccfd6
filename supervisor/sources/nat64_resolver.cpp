#include "supervisor/sources/nat64_resolver.hpp"

#include <algorithm>
#include <utility>

#include "core/net/dns64.hpp"
#include "core/net/dns_answer.hpp"

namespace clat::sources {

namespace {

model::Nat64Answer answer_from(const std::string& uplink, const Result<DnsQuery::Message>& message) {
  const auto failed = [&](const Error& error) {
    return model::Nat64Answer{.uplink = uplink, .failure = error.in("ask the DNS for " + std::string(kIpv4OnlyName))};
  };
  if (!message) return failed(message.error());
  const auto told = parse_aaaa_answer(*message, kIpv4OnlyName);
  if (!told) return failed(told.error());
  auto prefixes = nat64_prefixes_of(told->addresses);
  if (prefixes.empty() && !told->addresses.empty()) {
    return failed({"no NAT64 prefix is in " + told->addresses.front().text()});
  }
  return {.uplink = uplink,
          .prefixes = std::move(prefixes),
          .ttl = std::clamp(told->ttl, Nat64Resolver::kShortestTtl, Nat64Resolver::kLongestTtl)};
}

}  // namespace

void Nat64Resolver::ask(const model::Nat64Question& question) {
  auto& query = queries_[question.uplink];
  query.reset();  // first: it closes its sockets
  query = std::make_unique<DnsQuery>(
      loop_, question, [this, uplink = question.uplink](auto message) { answered(uplink, std::move(message)); });
}

void Nat64Resolver::answered(const std::string& uplink, Result<DnsQuery::Message> message) {
  auto answer = answer_from(uplink, message);
  // The query ends first: the sink may ask the next.
  queries_.erase(uplink);
  sink_(std::move(answer));
}

}  // namespace clat::sources
