// Writes answers of DNS servers and a resolv.conf as seeds: dns_corpus FOLDER
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/dns.hpp"

int main(int, char** argv) {
  using namespace clat::test;
  const std::vector<DnsReply> replies{
      {.answers = {aaaa("64:ff9b::c000:aa"), aaaa("64:ff9b::c000:ab")}},
      {.answers = {aaaa("2001:db8:c000:aa::"), aaaa("2001:db8:1c0:0:aa::"), aaaa("2001:db8:c000:aa::c000:aa")}},
      {.answers = {cname("ipv4only.arpa", "b.c"), aaaa("64:ff9b::c000:aa", 60, dns_name("b.c"))}},
      {.answers = {cname("ipv4only.arpa", "b.c"), cname("b.c", "ipv4only.arpa")}},
      {.flags = kNoSuchName, .authorities = {soa(900, 3600)}},
  };
  const std::string folder = argv[1];
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const auto bytes = replies[i].bytes();
    std::ofstream(folder + "/reply-" + std::to_string(i))
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::ofstream(folder + "/resolv.conf") << "# Interface wan0\nnameserver fe80::1%wan0\nnameserver 127.0.0.53\n"
                                            "# Interface wan1\nnameserver 2001:db8::53\n";
}
