// The programs of the shortcut on devices of the LAN.
#include <algorithm>
#include <charconv>
#include <string_view>

#include "bpf/classifier.hpp"
#include "bpf/fast_path_impl.hpp"
#include "bpf/libbpf_log.hpp"
#include "bpf/link.hpp"
#include "core/base/first_error.hpp"

namespace clat::bpf {

namespace {

// Of "link-7-lan-ingress"; 0: it is of no device of the LAN.
int lan_device_of(const Pin& pin) {
  std::string_view name = pin.name;
  if (!name.ends_with(kLanIngress) && !name.ends_with(kLanEgress)) return 0;
  name.remove_prefix(std::min(name.find('-') + 1, name.size()));
  int device = 0;
  std::from_chars(name.data(), name.data() + name.size(), device);
  return device;
}

}  // namespace

std::set<int> FastPath::Impl::lan_devices() const {
  std::set<int> devices;
  const auto add = [&](const TrustedFolder& folder) {
    const auto pins = link_pins(folder);
    for (const auto& pin : pins ? *pins : std::vector<Pin>{}) devices.insert(lan_device_of(pin));
  };
  add(folders.present);
  std::ranges::for_each(folders.others, add);
  for (const int device : maps.lan_devices()) devices.insert(device);
  devices.erase(0);
  return devices;
}

Result<> FastPath::Impl::attach_lan(int device) {
  if (auto pinned = pin_maps(); !pinned) return pinned;
  if (auto written = maps.put_lan(device); !written) return written;
  for (const auto& hook : lan_hooks(device)) {
    if (auto attached = attach_hook(device, hook); !attached) return attached;
  }
  return {};
}

Result<> FastPath::Impl::leave_lan(int device) {
  Result<> first;
  for (const auto& hook : lan_hooks(device)) {
    note(first, remove_link(pin(device, hook)));
    for (const auto& older : older_pins(device, hook)) note(first, remove_link(older));
    if (maps.is_lan(device)) note(first, remove_classifier(device, hook.flow));
  }
  if (maps.is_lan(device) && maps.has_own_qdisc(device)) note(first, remove_empty_clsact(device));
  maps.remove_lan(device);
  note(first, forget_other_versions());
  return first;
}

Result<> FastPath::serve_lan(std::span<const int> devices) {
  clear_libbpf_log();
  Result<> first;
  for (const int device : impl_->lan_devices()) {
    if (std::ranges::find(devices, device) == devices.end()) note(first, impl_->leave_lan(device));
  }
  for (const int device : devices) note(first, impl_->attach_lan(device));
  note(first, impl_->forget_other_versions());
  return in_context(std::move(first), "attach to the LAN");
}

Result<> FastPath::verify_lan(std::span<const int> devices) {
  for (const int device : devices) {
    for (const auto& hook : impl_->lan_hooks(device)) {
      if (auto there = impl_->verify_hook(hook); !there) return there;
    }
  }
  return {};
}

const Shortcuts& FastPath::shortcuts() const { return impl_->shortcuts; }

}  // namespace clat::bpf
