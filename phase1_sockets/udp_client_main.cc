// udp_client HOST PORT: the client console over UDP.
#include <sys/socket.h>

#include "phase1_sockets/client_program.h"
#include "phase1_sockets/udp_transport.h"

int main(int argc, char** argv) {
  return kv::sockets::run_socket_client<kv::sockets::UdpTransport>(
      {.name = "udp_client",
       .purpose = "Talks the line protocol over UDP: a few operations, then what you type.",
       .name_prefix = "udp",
       .log = "logs/phase1_sockets/udp_client.log",
       .context = "phase=1",
       .add_arguments = {},
       .connect = {}},
      SOCK_DGRAM, argc, argv);
}
