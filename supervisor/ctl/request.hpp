// What clatctl asks of clatvisor, and the form of the answer. Both sides know it; it changes with the version only by
// what is added.
//
// A request is one line of words with one space between: "status --json wan0". The answer is an exit code in decimal,
// a newline, then text until the end of the connection: for stdout where the code is 0 or 1, else for stderr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace clat::ctl {

constexpr std::string_view kDefaultSocket = "/run/clatvisor/control.sock";
constexpr std::size_t kLongestRequest = 256;  // bytes, its newline not counted

// As of sysexits.h, where it has one.
enum Code : int {
  kOk = 0,
  kNotHealthy = 1,
  kUsage = 64,
  kUnavailable = 69,
  kFailed = 75,  // it was not done in time; it may be later
  kNotPermitted = 77,
  kRefusedConfig = 78,
};

enum class Verb : std::uint8_t { status, show, explain, events, metrics, check, reload, restart, handover };

struct Request {
  Verb verb = Verb::status;
  std::string iface = {};  // empty: all
  std::string field = {};  // of show
  bool json = false;
  bool colour = false;
  bool healthy = false;  // of status: only the code matters
  bool follow = false;   // of events
  bool operator==(const Request&) const = default;
};

// The error says what is wrong with it, for kUsage.
std::expected<Request, std::string> parse(std::string_view line);

// Whether it changes something, and so is for root alone.
bool changes(Verb verb);

}  // namespace clat::ctl
