namespace cpp kv.peers

struct Reply { 1: bool found, 2: binary value }

service Store {
  Reply get(1: binary key),
  Reply put(1: binary key, 2: binary value),
}
