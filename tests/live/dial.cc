// What dials real connections wants the right to send.
#include "streams/adapters/asio/asio_net.h"

std::unique_ptr<maily::Dialer> DialWith(maily::asio_net::Worker& worker, maily::LiveCapability right) {
  return std::make_unique<maily::asio_net::AsioDialer>(worker, std::move(right));
}

#ifdef CANNOT_DIAL
std::unique_ptr<maily::Dialer> DialWithout(maily::asio_net::Worker& worker) {
  return std::make_unique<maily::asio_net::AsioDialer>(worker);
}
#endif
