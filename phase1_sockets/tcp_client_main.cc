// tcp_client HOST PORT: the client console over TCP.
#include <sys/socket.h>

#include "phase1_sockets/client_program.h"
#include "phase1_sockets/tcp_transport.h"

int main(int argc, char** argv) {
  return kv::sockets::run_socket_client<kv::sockets::TcpTransport>(
      {.name = "tcp_client",
       .purpose = "Talks the line protocol over TCP: a few operations, then what you type.",
       .name_prefix = "tcp",
       .log = "logs/phase1_sockets/tcp_client.log",
       .context = "phase=1",
       .add_arguments = {},
       .connect = {}},
      SOCK_STREAM, argc, argv);
}
