# One make for everything: `make help` lists the targets.
#
# Every folder of the house is a library of all its *.cc files except *_main.cc; every *_main.cc is
# a program. Adding a file needs no edit here; adding a folder or a program needs a line below.

MODE ?= release
CXX ?= g++
AR := gcc-ar
BUILD := $(if $(filter release,$(MODE)),build,build/$(MODE))

MODE_FLAGS_release := -O2 -g1
# The way of a request through parser, store and session is 6 % shorter so; elsewhere it gains nothing.
# At -O3 g++ 12 sees overlaps in std::string that are none (-Wrestrict, GCC bug 105651).
HOT_FLAGS_release := -O3 -Wno-restrict
# For a debugger, as one that steps through `quintet replay`: nothing is optimized away.
MODE_FLAGS_debug := -O0 -g
# GCC documents that sanitizers bring false -Wmaybe-uninitialized findings (std::regex has one).
# UBSan without what AddressSanitizer sees as well (a null or wild pointer ends there too) or x86
# allows: with it everything takes half as long again to compile.
MODE_FLAGS_asan := -O1 -g1 -Wno-maybe-uninitialized -fsanitize=address,undefined \
  -fno-sanitize=null,alignment,vptr,object-size -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_FLAGS_tsan := -O1 -g1 -Wno-maybe-uninitialized -fsanitize=thread -Wno-tsan
ifeq ($(MODE_FLAGS_$(MODE)),)
$(error MODE=$(MODE) is unknown: take release, debug, asan or tsan)
endif

VERSION := 0.1.0
# Off alone: a designated initializer names the fields it sets, and leaves the rest at their defaults.
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wno-missing-field-initializers -Werror
CPPFLAGS += -I. -DQUINTET_VERSION='"$(VERSION)"' -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL
CXXFLAGS += -std=c++20 $(WARNINGS) $(MODE_FLAGS_$(MODE))
# The compiler collects its garbage when there is half a GiB of it: a group takes 7 to 14 % less time.
CXXFLAGS += --param ggc-min-heapsize=524288
LDFLAGS += $(MODE_FLAGS_$(MODE)) -pthread

# --- the house -----------------------------------------------------------------------------------

LIBRARIES := common/core common/kv common/wire common/host common/sim common/client \
             phase1_sockets phase2_rpc phase3_2pc phase4_paxos phase5_raft tools
# What a program may link, in link order; a static library that nothing refers to adds nothing.
LINK_ORDER := tools phase5_raft phase4_paxos phase3_2pc phase2_rpc phase1_sockets \
              common/sim common/client common/host common/wire common/kv common/core
SYSTEM_LIBRARIES := -Wl,--as-needed -lspdlog -lfmt -levent_pthreads -levent_core -levent_extra -lxxhash \
                    -ledit -lssl -lcrypto -lboost_json

# program : its main file
PROGRAMS := phase1_server:phase1_sockets/server_main.cc \
            tcp_client:phase1_sockets/tcp_client_main.cc \
            udp_client:phase1_sockets/udp_client_main.cc \
            rpc_client:phase2_rpc/rpc_client_main.cc \
            phase2_server:phase2_rpc/server_main.cc \
            phase3_server:phase3_2pc/server_main.cc \
            phase4_server:phase4_paxos/server_main.cc \
            phase5_server:phase5_raft/server_main.cc \
            phase3_sim:phase3_2pc/sim_main.cc \
            phase4_sim:phase4_paxos/sim_main.cc \
            phase5_sim:phase5_raft/sim_main.cc \
            cs3700_replica:phase5_raft/cs3700_main.cc \
            quintet:tools/quintet_main.cc \
            trivial_sim:tools/trivial_sim_main.cc \
            bench_sim:tools/bench_sim_main.cc \
            bench_echo:tools/bench_echo_main.cc \
            bench_asio_echo:tools/bench_asio_echo_main.cc \
            bench_store:tools/bench_store_main.cc \
            bench_journal:tools/bench_journal_main.cc \
            bench_peer:tools/bench_peer_main.cc \
            bench_floor:tools/bench_floor_main.cc \
            bench_first_write:tools/bench_first_write_main.cc \
            bench_replica_host:tools/bench_replica_host_main.cc \
            bench_paxos:phase4_paxos/bench_main.cc \
            phase4_search:phase4_paxos/search_main.cc \
            house_check:tools/house_check_main.cc

program_name = $(firstword $(subst :, ,$1))
program_main = $(lastword $(subst :, ,$1))
PROGRAMS := $(foreach p,$(PROGRAMS),$(if $(wildcard $(call program_main,$p)),$p))
BINARIES := $(foreach p,$(PROGRAMS),$(BUILD)/bin/$(call program_name,$p))

LIBRARY_SOURCES := $(foreach l,$(LIBRARIES),$(filter-out %_main.cc,$(wildcard $l/*.cc)))
MAIN_SOURCES := $(foreach p,$(PROGRAMS),$(call program_main,$p))
TEST_SOURCES := $(sort tests/main.cc $(shell find tests -name '*_test.cc' -o -name 'test_*.cc'))
# Under TSan only what has threads: the rest has nothing to race with, and is many times slower so.
ifeq ($(MODE),tsan)
TEST_SOURCES := $(filter tests/main.cc tests/common/client/% tests/common/host/% tests/phase1_sockets/% \
  tests/common/kv/sharded_store_test.cc tests/phase2_rpc/% tests/phase4_paxos/role_threads_test.cc tests/tools/bench_command_test.cc \
  tests/tools/fault_proxy_test.cc tests/tools/load_%_test.cc,$(TEST_SOURCES)) \
  $(foreach s,$(TEST_SOURCES),$(if $(filter test_%,$(notdir $s)),$s))
TEST_SOURCES := $(sort $(TEST_SOURCES))
endif
TEST_FOLDERS := $(patsubst %/,%,$(sort $(filter-out tests/,$(dir $(TEST_SOURCES)))))
FUZZ_SOURCES := $(wildcard tests/fuzz/*_fuzz.cc)
SOURCES := $(LIBRARY_SOURCES) $(MAIN_SOURCES) $(TEST_SOURCES)

object = $(BUILD)/obj/$(1:.cc=.o)

# The files of a folder are compiled in groups, each group as one: in less than half the time, for
# what they all include is read once, and what they all instantiate is made once. So the names that
# a file has for itself are its own in its folder, not only in the file (a test's are its suite's);
# the groups are made of build/obj/FOLDER/group_N.cc. A command is a program in the program: it
# stands alone.
# In a group a file's own types look to the compiler as if they came from a header.
# What check() names is a path from the root, as without a group.
GROUP_FLAGS := -Wno-subobject-linkage -fmacro-prefix-map=./=
# number:first:last file of each group
GROUPS := 1:1:16 2:17:32 3:33:48 4:49:64
ALONE := %_command.cc common/host/flags.cc $(addprefix tests/phase4_paxos/,acceptor_test.cc acquaintance_test.cc proposer_test.cc)
alone = $(filter $(ALONE),$(call sources_of,$1))
sources_of = $(if $(filter tests/%,$1),$(foreach s,$(TEST_SOURCES),$(if $(filter $1/,$(dir $s)),$s)), \
  $(filter-out %_main.cc,$(wildcard $1/*.cc)))
grouped = $(filter-out $(ALONE),$(call sources_of,$1))
group_part = $(word $2,$(subst :, ,$1))
group_files = $(wordlist $(call group_part,$2,2),$(call group_part,$2,3),$(call grouped,$1))
groups_of = $(foreach g,$(GROUPS),$(if $(call group_files,$1,$g),$(call group_part,$g,1)))
objects_of = $(foreach g,$(call groups_of,$1),$(BUILD)/obj/$1/group_$g.o) \
             $(foreach s,$(call alone,$1),$(call object,$s))
ARCHIVES := $(foreach l,$(LINK_ORDER),$(if $(filter $l/%,$(LIBRARY_SOURCES)),$(BUILD)/lib/$(subst /,_,$l).a))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
ifeq ($(filter-out 0,$(MAKELEVEL)),)  # a make within a make shares the outer one's jobs
MAKEFLAGS += -j$(shell nproc)
endif

.PHONY: all programs tests help setup clean test unit_test e2e_test demo bench compare fuzz lint format \
        peers phase1_sockets phase2_rpc phase3_2pc phase4_paxos phase5_raft soak bench_journal bench_sim \
        sim_soak mutants chaos
all: programs tests compile_commands.json ## builds everything into build/
programs: $(BINARIES)
tests: $(BUILD)/bin/tests

# A phase's programs, of those that are there.
CLIENTS := tcp_client udp_client rpc_client
DEMO_PROGRAMS := quintet $(CLIENTS) $(foreach i,1 2 3 4 5,phase$i_server)
of_phase = $(filter $(addprefix $(BUILD)/bin/,$1),$(BINARIES))
phase1_sockets: $(call of_phase,phase1_server tcp_client udp_client) ## builds phase 1 alone
phase2_rpc: $(call of_phase,phase2_server $(CLIENTS)) ## builds phase 2 alone
phase3_2pc: $(call of_phase,phase3_server phase3_sim $(CLIENTS)) ## builds phase 3 alone
phase4_paxos: $(call of_phase,phase4_server phase4_sim $(CLIENTS)) ## builds phase 4 alone
phase5_raft: $(call of_phase,phase5_server phase5_sim cs3700_replica $(CLIENTS)) ## builds phase 5 alone

define archive_rule
$(BUILD)/lib/$(subst /,_,$1).a: $(call objects_of,$1)
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call archive_rule,$l)))

define program_rule
$(BUILD)/bin/$(call program_name,$1): $(call object,$(call program_main,$1)) $(ARCHIVES)
	@mkdir -p $$(@D)
	@echo "link    $$@"
	@$(CXX) $(LDFLAGS) -o $$@ $$< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(SYSTEM_LIBRARIES)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$p)))

TEST_OBJECTS := $(call object,tests/main.cc) $(foreach f,$(TEST_FOLDERS),$(call objects_of,$f))
$(BUILD)/bin/tests: $(TEST_OBJECTS) $(ARCHIVES)
	@mkdir -p $(@D)
	@echo "link    $@"
	@$(CXX) $(LDFLAGS) -o $@ $(TEST_OBJECTS) -Wl,--start-group $(ARCHIVES) -Wl,--end-group \
	  -lboost_unit_test_framework $(SYSTEM_LIBRARIES)
# Boost.Test's macros take three times as long to compile when optimized, and what the tests
# measure lies in the libraries. Their assertions say file and line themselves.
TEST_FLAGS_release := -g0
$(BUILD)/obj/tests/%: private CPPFLAGS += -DBOOST_TEST_DYN_LINK
$(BUILD)/obj/tests/%: private CXXFLAGS += -O0 $(TEST_FLAGS_$(MODE))
# CLI11 is much code that runs once.
$(BUILD)/obj/common/host/flags.o: private CXXFLAGS += -O0

# What most sources include of the standard library is compiled once, and for the tests, which are
# not optimized, with Boost.Test's header once more: 0.4 to 1.1 s less a source. A source says what it
# includes all the same: clang's tools see it without this. main.cc makes Boost.Test's main().
STANDARD_HEADERS := algorithm array atomic bit charconv chrono condition_variable cstdint cstdio cstring \
  deque filesystem fstream functional future iterator map memory mutex optional set span sstream \
  string string_view system_error thread unordered_map utility vector
PRECOMPILED := $(BUILD)/obj/precompiled
TEST_CASE_OBJECTS := $(filter-out $(BUILD)/obj/tests/main.o,$(TEST_OBJECTS))
STANDARD_OBJECTS := $(filter-out $(BUILD)/obj/common/host/flags.o, \
  $(foreach l,$(LIBRARIES),$(call objects_of,$l)) $(foreach m,$(MAIN_SOURCES),$(call object,$m)))
$(STANDARD_OBJECTS): private CXXFLAGS += -include $(PRECOMPILED)/standard.h
$(STANDARD_OBJECTS): $(PRECOMPILED)/standard.h.gch
$(TEST_CASE_OBJECTS): private CXXFLAGS += -include $(PRECOMPILED)/test.h
$(TEST_CASE_OBJECTS): $(PRECOMPILED)/test.h.gch
$(PRECOMPILED)/test.h.gch: CPPFLAGS += -DBOOST_TEST_DYN_LINK
$(PRECOMPILED)/test.h.gch: CXXFLAGS += -O0 $(TEST_FLAGS_$(MODE))
$(PRECOMPILED)/test.h.gch: PRECOMPILED_HEADERS := $(STANDARD_HEADERS) boost/test/unit_test.hpp
$(PRECOMPILED)/standard.h.gch: PRECOMPILED_HEADERS := $(STANDARD_HEADERS)
$(PRECOMPILED)/%.h.gch: Makefile
	@mkdir -p $(@D)
	@echo "compile $(@:.gch=)"
	@printf '#include <%s>\n' $(PRECOMPILED_HEADERS) > $(@:.gch=)
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -x c++-header -o $@ $(@:.gch=)

$(foreach l,common/kv common/wire phase1_sockets,$(BUILD)/obj/$l/%.o): private CXXFLAGS += $(HOT_FLAGS_$(MODE))

$(BUILD)/obj/%.o: %.cc Makefile
	@mkdir -p $(@D)
	@echo "compile $<"
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

# A file that comes or goes moves others, which are no newer for that, from one group to the next.
HASH := \#
regrouped = $(if $(wildcard $1),$(if $(findstring |$(strip $(file < $1))|,|$(foreach f,$2,$(HASH)include "$f")|),,FORCE))
FORCE:

define group_rule
$(BUILD)/obj/$1/group_$(call group_part,$2,1).o: $(call group_files,$1,$2) Makefile \
  $(call regrouped,$(BUILD)/obj/$1/group_$(call group_part,$2,1).cc,$(call group_files,$1,$2))
	@mkdir -p $$(@D)
	@echo "compile $(call group_files,$1,$2)"
	@printf '#include "%s"\n' $(call group_files,$1,$2) > $$(@:.o=.cc)
	@$$(CXX) $$(CPPFLAGS) $$(CXXFLAGS) $$(GROUP_FLAGS) -MMD -MP -c -o $$@ $$(@:.o=.cc)
endef
FOLDERS := $(LIBRARIES) $(TEST_FOLDERS)
$(foreach l,$(FOLDERS),$(foreach g,$(GROUPS),$(if $(call group_files,$l,$g),$(eval $(call group_rule,$l,$g)))))
$(foreach l,$(FOLDERS),$(if $(word 65,$(call grouped,$l)),$(error $l has more files than there are groups)))

-include $(foreach l,$(FOLDERS),$(patsubst %.o,%.d,$(call objects_of,$l)))
-include $(patsubst %.cc,$(BUILD)/obj/%.d,$(MAIN_SOURCES) tests/main.cc)

compile_commands.json: Makefile
	@tools/compile_commands.sh '$(subst ','\'',$(CXX) $(CPPFLAGS) -DBOOST_TEST_DYN_LINK $(filter-out --param ggc-%,$(CXXFLAGS)))' \
	  $(SOURCES) $(FUZZ_SOURCES) > $@

# --- what people type ----------------------------------------------------------------------------

help: ## this list
	@grep -hE '^[a-z0-9_]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## installs the packages that are missing, by name; nothing if all are there
	@tools/setup.sh build

test: ## installs what is missing, builds, runs every test; last line: N passed, N failed
	@tools/setup.sh build test
	@$(MAKE) all
	@tests/run

demo: ## installs what is missing, builds, runs every phase with its clients, compares their logs
	@tools/setup.sh build
	@$(MAKE) $(call of_phase,$(DEMO_PROGRAMS))
	@tools/demo.sh

compare: $(BUILD)/bin/quintet ## the comparison over whatever logs/ holds
	@$< compare logs --html logs/report.html

chaos: ## real processes killed, paused, parted, their power cut, each run judged; SECONDS=60 SEED=1
	@tools/setup.sh build
	@[ "$$(id -u)" -ne 0 ] || tools/setup.sh chaos
	@$(MAKE) $(call of_phase,$(DEMO_PROGRAMS))
	@for run in chaos_test network_chaos; do \
	  bash tests/e2e/$$run.sh $(or $(SECONDS),60) $(or $(SEED),1); \
	done | tee build/chaos.log; ! grep -q '^not ok' build/chaos.log

unit_test: tests ## the Boost.Test program alone
	@$(BUILD)/bin/tests

bench: ## our phases beside the installed peers, as ratios in one run; BENCH=tcp,log SECONDS=3 ROUNDS=5
	@tools/setup.sh build bench $(if $(findstring rpc,$(or $(BENCH),rpc)),bench_rpc)
	@$(MAKE) programs $(if $(findstring rpc,$(or $(BENCH),rpc)),peers)
	@tools/bench.sh $(if $(BENCH),--groups $(BENCH)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ITEMS),--items $(ITEMS)) $(if $(KEYS),--keys $(KEYS))

# What RPC is compared with: each peer's own code generator, libraries and flags.
PEERS := build/peers
PEER_FLAGS := -std=c++20 -O2 -I. -I$(PEERS)
peers: $(addprefix $(PEERS)/,grpc_peer thrift_peer capnp_peer)

$(PEERS)/grpc_peer: tools/peers/grpc_peer_main.cc tools/peers/closed_loop.h tools/peers/kv.proto
	@mkdir -p $(@D)
	@echo "peer    $@"
	@protoc -I tools/peers --cpp_out=$(@D) --grpc_out=$(@D) \
	  --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) tools/peers/kv.proto
	@$(CXX) $(PEER_FLAGS) -o $@ $< $(@D)/kv.pb.cc $(@D)/kv.grpc.pb.cc \
	  $$(pkg-config --libs grpc++ protobuf) -pthread

$(PEERS)/thrift_peer: tools/peers/thrift_peer_main.cc tools/peers/closed_loop.h tools/peers/kv.thrift
	@mkdir -p $(@D)
	@echo "peer    $@"
	@thrift --gen cpp -out $(@D) tools/peers/kv.thrift
	@$(CXX) $(PEER_FLAGS) -o $@ $< $(@D)/Store.cpp $(@D)/kv_types.cpp -lthriftnb -lthrift -levent -pthread

$(PEERS)/capnp_peer: tools/peers/capnp_peer_main.cc tools/peers/closed_loop.h tools/peers/kv.capnp
	@mkdir -p $(@D)
	@echo "peer    $@"
	@capnp compile --src-prefix=tools/peers -oc++:$(@D) tools/peers/kv.capnp
	@$(CXX) $(PEER_FLAGS) -o $@ $< $(@D)/kv.capnp.c++ -lcapnp-rpc -lcapnp -lkj-async -lkj -pthread

bench_journal: $(BUILD)/bin/bench_journal $(BUILD)/bin/bench_replica_host ## the journal beside the bare disk; snapshots, restarts
	@$(BUILD)/bin/bench_journal; journal=$$?; $(BUILD)/bin/bench_replica_host && exit $$journal

e2e_test: programs ## the scripts of tests/e2e/ alone
	@tests/run e2e

LINTED := $(SOURCES) $(FUZZ_SOURCES)
SCRIPTS := .ci/run tests/run tests/mutants/run $(wildcard tests/e2e/*.sh tests/fuzz/run tests/seeds tests/soak tools/*.sh deploy/*.sh)
lint: compile_commands.json ## clang-tidy over every source and shellcheck over every script
	@tools/setup.sh lint
	@printf '%s\n' $(LINTED) | xargs -P $$(nproc) -n 1 clang-tidy -p . --quiet
	@shellcheck -x $(SCRIPTS)

format: ## lays out every source as .clang-format says
	@tools/setup.sh lint
	@clang-format -i $(shell find common phase*_* tools tests -name '*.h' -o -name '*.cc')

# Fuzzing: each tests/fuzz/X_fuzz.cc is a program, with clang's instrumentation in all it tests.
FUZZ_LIBRARIES := common/core common/wire
FUZZ_EXTRA := $(addprefix phase2_rpc/,code.cc rpc_frame.cc client_core.cc server_core.cc)  # the pure ones
FUZZ_CXX ?= clang++
FUZZ_SECONDS ?= 600
FUZZ_FLAGS := -std=c++20 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
# Of other libraries, what decodes there.
FUZZ_FILES := common/kv/store.cc common/kv/segment.cc phase1_sockets/session.cc phase1_sockets/open_batch.cc \
              phase2_rpc/rpc_frame.cc phase2_rpc/code.cc phase2_rpc/client_core.cc phase2_rpc/server_core.cc
FUZZ_OBJECTS := $(foreach l,$(FUZZ_LIBRARIES),$(patsubst %.cc,build/fuzz/obj/%.o,$(filter-out %_main.cc,$(wildcard $l/*.cc)))) \
                $(patsubst %.cc,build/fuzz/obj/%.o,$(FUZZ_FILES))
FUZZERS := $(patsubst tests/fuzz/%.cc,build/fuzz/bin/%,$(FUZZ_SOURCES))

fuzz: $(FUZZERS) ## fuzzes every decoder, FUZZ_SECONDS (600) each; what it finds stays in build/fuzz/
	@tests/fuzz/run long $(FUZZ_SECONDS) $(FUZZERS)

fuzz_short: $(FUZZERS) ## the same for a few seconds, from one seed: the same inputs each time
	@tests/fuzz/run short $(FUZZERS)

.PHONY: fuzz_short fuzz_setup
fuzz_setup:
	@tools/setup.sh fuzz

build/fuzz/bin/%: build/fuzz/obj/tests/fuzz/%.o $(FUZZ_OBJECTS)
	@mkdir -p $(@D)
	@echo "link    $@"
	@$(FUZZ_CXX) -fsanitize=fuzzer,address,undefined -o $@ $^ -lxxhash -pthread

build/fuzz/obj/%.o: %.cc Makefile | fuzz_setup
	@mkdir -p $(@D)
	@echo "compile $< for fuzzing"
	@$(FUZZ_CXX) $(CPPFLAGS) $(FUZZ_FLAGS) $(WARNINGS) -fsanitize=fuzzer-no-link,address,undefined \
	  -MMD -MP -c -o $@ $<

-include $(FUZZ_OBJECTS:.o=.d) $(FUZZ_SOURCES:%.cc=build/fuzz/obj/%.d)
.SECONDARY: $(FUZZ_OBJECTS) $(FUZZ_SOURCES:%.cc=build/fuzz/obj/%.o)
bench_sim: $(BUILD)/bin/bench_sim ## simulated steps a second on one core, with faults
	@$<

sim_soak: $(BUILD)/bin/trivial_sim ## many seeds of the simulator; SEED=1 SEEDS=10000
	@$< --seed $(or $(SEED),1) --seeds $(or $(SEEDS),10000)

SIMULATORS := $(filter $(BUILD)/bin/phase%_sim,$(BINARIES))
soak: $(SIMULATORS) ## each phase's simulator over SEEDS (100000) seeds from SEED (1) on, on all cores, and each other way to run it over a tenth
	@tests/soak $(or $(SEED),1) $(or $(SEEDS),100000)

mutants: tests $(SIMULATORS) $(BUILD)/bin/trivial_sim ## plants bugs in a copy of the tree, and expects each to be found
	@tests/mutants/run

clean: ## removes what was built
	@rm -rf build compile_commands.json
