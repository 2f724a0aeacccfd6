// The edge's part in hooks.
#include "core/base/trusted_folder.hpp"
#include "supervisor/edge.hpp"
#include "supervisor/launch.hpp"

namespace clat {

// What is told of its children is told of hooks.
loop::Sink KernelEdge::hook_sink(loop::Sink sink) {
  return [sink = std::move(sink)](model::Event event) {
    if (auto* output = std::get_if<model::ChildOutput>(&event)) {
      sink(model::HookOutput{output->uplink, output->pid, std::move(output->line), output->suppressed});
    } else if (const auto* exited = std::get_if<model::ChildExited>(&event)) {
      sink(model::HookExited{exited->uplink, exited->pid, exited->status, exited->signal});
    }
  };
}

// Between the look at the file and its start only root can put another in its place, and root may.
std::optional<model::Event> KernelEdge::act(const model::RunHook& action) {
  const auto& argv = action.call.argv;
  auto path = trusted_file(argv.front());
  if (!path) {
    const bool refused = path.error().code == EPERM;
    return model::HookStarted{action.uplink, std::unexpected(std::move(path).error()), refused};
  }
  return model::HookStarted{action.uplink,
                            hooks_.spawn({.uplink = action.uplink,
                                          .path = *std::move(path),
                                          .argv = argv,
                                          .fds = {},
                                          .control = false,
                                          .environment = hook_environment(action.uplink, action.call.state),
                                          .own_group = true})};
}

std::optional<model::Event> KernelEdge::act(const model::SignalHook& action) {
  // One that is gone already: its exit is on the way.
  return model::Sent{action.uplink, hooks_.signal(action.uplink, action.pid, action.signal)};
}

}  // namespace clat
