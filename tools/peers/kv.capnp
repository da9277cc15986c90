@0xd5c1f5a06f1cbd11;
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("kv::peers::capnproto");

interface Store {
  get @0 (key :Data) -> (found :Bool, value :Data);
  put @1 (key :Data, value :Data) -> (found :Bool);
}
