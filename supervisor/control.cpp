#include "supervisor/control.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "supervisor/render/explain.hpp"
#include "supervisor/render/fields.hpp"
#include "supervisor/render/metrics.hpp"
#include "supervisor/render/table.hpp"

namespace clat {

using ctl::Verb;
using loop::ControlServer;
using model::InterfaceStatus;

namespace {

std::string head(int code) { return std::to_string(code) + "\n"; }

Control::Outcome no_such(const std::string& iface) {
  return {ctl::kUsage, "there is no interface '" + iface + "' in the config\n"};
}

// The one of that name, else those that the config has by it: an altname, or a pattern.
std::vector<InterfaceStatus> named(const model::Status& status, const std::string& iface) {
  std::vector<InterfaceStatus> found;
  const auto& all = status.interfaces;
  std::ranges::copy_if(all, std::back_inserter(found), [&](const auto& each) { return each.name == iface; });
  if (!found.empty()) return found;
  std::ranges::copy_if(all, std::back_inserter(found), [&](const auto& each) { return each.entry == iface; });
  return found;
}

Control::Outcome not_one(const std::string& iface, std::size_t found) {
  if (found == 0) return no_such(iface);
  return {ctl::kUsage, "'" + iface + "' stands for " + std::to_string(found) + " interfaces; name one of them\n"};
}

// `one` where the request names an interface.
std::string in_full(const ctl::Request& request, const model::Status& status, const InterfaceStatus* one) {
  const auto paint = request.colour ? render::Paint::yes : render::Paint::no;
  if (request.verb == Verb::explain)
    return one != nullptr ? render::explain(*one, paint) : render::explain(status, paint);
  if (request.verb == Verb::metrics) return render::metrics(status, CLATVISOR_VERSION);
  if (request.json) return render::json(status, CLATVISOR_VERSION, getpid());
  return one != nullptr ? render::detail(*one, paint) : render::table(status, paint);
}

Control::Outcome look(const ctl::Request& request, model::Status status) {
  const auto& iface = request.iface;
  if (!iface.empty()) {
    status.interfaces = named(status, iface);
    if (status.interfaces.empty()) return no_such(iface);
  }
  const auto* one = iface.empty() || status.interfaces.size() > 1 ? nullptr : &status.interfaces.front();
  if (request.verb == Verb::show) {
    if (one == nullptr) return not_one(iface, status.interfaces.size());
    const auto value = render::show(*one, request.field);
    if (!value)
      return {ctl::kUsage, "there is no field '" + request.field + "'; `clatctl status --json` has them all\n"};
    return {ctl::kOk, *value + "\n"};
  }
  const bool healthy =
      std::ranges::all_of(status.interfaces, [](const auto& each) { return each.state == model::State::up; });
  const int code = request.healthy && !healthy ? ctl::kNotHealthy : ctl::kOk;
  return {code, in_full(request, status, one)};
}

}  // namespace

Result<std::unique_ptr<Control>> Control::open(loop::Loop& loop, const config::ControlSocket& socket,
                                               Program& program) {
  std::unique_ptr<Control> control(new Control(program));
  auto server = ControlServer::open(
      loop,
      {.path = socket.path,
       .group = socket.gid,
       .longest_request = ctl::kLongestRequest,
       .late = head(ctl::kFailed) + "it was not done within a minute; clatvisor goes on with it\n",
       .busy = head(ctl::kFailed) + "too many clients; try again\n"},
      [self = control.get()](auto client, const auto& peer, const auto& line) { self->asked(client, peer, line); });
  if (!server) return std::unexpected(std::move(server).error());
  control->server_ = std::move(*server);
  return control;
}

void Control::said(const std::string& line) {
  if (history_.size() == kHistory) history_.pop_front();
  history_.push_back(line + "\n");
  server_->publish(history_.back());
}

void Control::answer(ControlServer::Client client, const Outcome& outcome) {
  server_->answer(client, head(outcome.code) + outcome.text);
}

void Control::asked(ControlServer::Client client, const ControlServer::Peer& peer, const std::string& line) {
  const auto request = ctl::parse(line);
  if (!request) return answer(client, {ctl::kUsage, request.error() + "; see clatctl --help\n"});
  if (ctl::changes(request->verb)) {
    if (peer.uid != 0) return answer(client, {ctl::kNotPermitted, "only root may do that\n"});
    program_.requested(line, peer.uid, peer.pid);
    return change(client, *request);
  }
  if (request->verb == Verb::check) return answer(client, program_.check());
  if (request->verb == Verb::events) {
    std::string all = head(ctl::kOk);
    for (const auto& each : history_) all += each;
    return request->follow ? server_->answer_and_follow(client, std::move(all))
                           : server_->answer(client, std::move(all));
  }
  lookers_.push_back({client, *request});
  program_.ask_status();
}

void Control::change(ControlServer::Client client, const ctl::Request& request) {
  if (request.verb == Verb::reload) return answer(client, program_.reload());
  if (request.verb == Verb::handover) {
    // Nobody is left to tell it afterwards.
    answer(client, {ctl::kOk, "handed over: a successor finds all in place\n"});
    return program_.hand_over();
  }
  const auto status = program_.status();
  const auto named_so = named(status, request.iface);
  if (named_so.size() != 1) return answer(client, not_one(request.iface, named_so.size()));
  const auto* found = &named_so.front();
  if (found->child.state == model::ChildState::none) {
    return answer(client, {ctl::kFailed,
                           request.iface + " has no clatd: it is " + std::string(model::name(found->state)) + "\n"});
  }
  restarters_.push_back({client, request, found->child.starts});
  program_.restart(found->name);
}

void Control::settle() {
  if (!lookers_.empty() && program_.status_is_fresh()) {
    const auto status = program_.status();
    for (const auto& [client, request, starts] : std::exchange(lookers_, {})) answer(client, look(request, status));
  }
  if (!restarters_.empty()) settle_restarts();
}

void Control::settle_restarts() {
  const auto status = program_.status();
  std::erase_if(restarters_, [&](const Pending& pending) {
    const auto named_so = named(status, pending.request.iface);
    const auto* found = named_so.size() == 1 ? &named_so.front() : nullptr;
    if (found == nullptr) {
      answer(pending.client, no_such(pending.request.iface));
      return true;
    }
    const auto& child = found->child;
    if (child.starts == pending.starts || !child.ready) return false;
    answer(pending.client, {ctl::kOk, pending.request.iface + ": clatd " + std::to_string(child.pid) + " is ready\n"});
    return true;
  });
}

}  // namespace clat
