/* SPDX-License-Identifier: MIT
 * What a confined process can't do any more, and what the libraries of a worker still can. Each test confines a child
 * process and runs there. */
#include <check.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/broker.h"
#include "base/buf.h"
#include "base/build.h"
#include "base/privileges.h"
#include "base/secret.h"
#include "serve/confine.h"

static char dir[] = "/tmp/pconfXXXXXX", file[64];
static unsigned port; /* where this process listens */
static int listener;

static void setup(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, len) | listen(listener, 16) |
			getsockname(listener, (struct sockaddr *)&a, &len),
		0);
	port = ntohs(a.sin_port);
	secret_setup();
}

static void teardown(void)
{
	close(listener);
	unlink(file);
	rmdir(dir);
}

/* In the child: a failure is its exit status, the line. */
#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			dprintf(STDERR_FILENO, "# line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
			_exit(1); \
		} \
	} while (0)

static pid_t start_confined(void (*in_child)(void))
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	struct buf why;
	alarm(30);
	buf_init(&why, 1024);
	privileges_drop(false);
	/* A kernel without Landlock, or a container that forbids it, can't be tested. */
	bool confined = confine_worker("host=localhost", NULL, dir, &why);
	if (!confined && (why.data == NULL || strstr(why.data, "seccomp") != NULL))
		_exit(77);
	in_child();
	_exit(0);
}

static void expect_success(pid_t pid)
{
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 77),
		"the confined process ended with status 0x%x", (unsigned)status);
}

static bool has_landlock(void)
{
	struct confine_files *f = confine_files_new();
	bool has = f != NULL;
	free(f);
	return has && !BUILD_WRITES_REPORTS;
}

static void start_programs(void)
{
	char *const argv[] = { (char *)(uintptr_t) "/bin/true", NULL };
	pid_t pid;
	EXPECT(execv(argv[0], argv) < 0 && errno == ENOSYS);
	EXPECT(fork() < 0 && errno == ENOSYS);
	EXPECT(vfork() < 0 && errno == ENOSYS);
	EXPECT(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0);
}

START_TEST(confined_process_starts_no_program)
{
	if (!BUILD_SANITIZED)
		expect_success(start_confined(start_programs));
}
END_TEST

static void do_dangerous_calls(void)
{
	EXPECT(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == ENOSYS);
	EXPECT(kill(getppid(), 0) < 0 && errno == ENOSYS);
	EXPECT(setuid(getuid()) < 0 && errno == ENOSYS);
	EXPECT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS);
	EXPECT(prctl(PR_SET_DUMPABLE, 1) < 0 && errno == ENOSYS);
	EXPECT(chmod("/tmp", 0777) < 0 && errno == ENOSYS);
	EXPECT(listen(listener, 16) < 0 && errno == ENOSYS);
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(page != MAP_FAILED);
	EXPECT(mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == ENOSYS);
}

START_TEST(dangerous_calls_of_confined_process_fail)
{
	if (!BUILD_SANITIZED)
		expect_success(start_confined(do_dangerous_calls));
}
END_TEST

static void open_files(void)
{
	EXPECT(open(file, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	EXPECT(open(file, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	EXPECT(open("/tmp/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES);
	EXPECT(open("/etc/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES);
	EXPECT(open("/dev/null", O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	EXPECT(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
	EXPECT(open("/proc/self/statm", O_RDONLY | O_CLOEXEC) >= 0);
}

START_TEST(confined_process_reads_only_what_libraries_need)
{
	if (has_landlock())
		expect_success(start_confined(open_files));
}
END_TEST

static void resolve(void)
{
	struct addrinfo *found = NULL, hints = { .ai_socktype = SOCK_STREAM };
	EXPECT(getaddrinfo("localhost", "80", &hints, &found) == 0);
	freeaddrinfo(found);
	/* Through DNS: there may be no name server, but it must be possible to ask one. */
	int rc = getaddrinfo("name.invalid", "80", &hints, &found);
	EXPECT(rc == EAI_AGAIN || rc == EAI_NONAME);
	EXPECT(rc != EAI_SYSTEM);
	EXPECT(dlopen("libnss_compat.so.2", RTLD_NOW) != NULL);
}

START_TEST(confined_process_resolves_names) { expect_success(start_confined(resolve)); }
END_TEST

static void fetch(void)
{
	char url[64];
	long status = 0;
	snprintf(url, sizeof(url), "http://localhost:%u/", port);
	curl_global_init(CURL_GLOBAL_ALL);
	CURL *c = curl_easy_init();
	EXPECT((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) != 0); /* it makes a thread */
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
	EXPECT(curl_easy_perform(c) == CURLE_OK);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	EXPECT(status == 204);
	curl_easy_cleanup(c);
}

START_TEST(confined_process_uses_libcurl)
{
	static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
	char request[1024];
	pid_t pid = start_confined(fetch);
	int status = 0, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_gt(recv(fd, request, sizeof(request), 0), 0);
	ck_assert_int_gt(send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL), 0);
	close(fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void *hash(void *arg)
{
	char text[PASSWORD_HASH_MAX];
	return password_hash("secret", 6, text) && password_verify("secret", 6, text) ? arg : NULL;
}

static void hash_in_threads(void)
{
	pthread_t threads[3];
	void *ok;
	for (size_t i = 0; i < 3; i++)
		EXPECT(pthread_create(&threads[i], NULL, hash, dir) == 0);
	for (size_t i = 0; i < 3; i++)
		EXPECT(pthread_join(threads[i], &ok) == 0 && ok == dir);
}

START_TEST(confined_process_hashes_passwords_in_threads) { expect_success(start_confined(hash_in_threads)); }
END_TEST

static void abort_it(void) { abort(); }

START_TEST(confined_process_can_abort)
{
	int status;
	pid_t pid = start_confined(abort_it);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 77);
}
END_TEST

/* ---- the broker ---- */

static int broker_owner, broker_client;

static void ask(void)
{
	int fd = broker_ask(broker_client, BROKER_ACCESS_LOG);
	EXPECT(fd >= 0 && write(fd, "line", 4) == 4);
	EXPECT(broker_ask(broker_client, BROKER_JWT_KEYS) < 0 && errno == ENXIO);
}

static int open_one(void *arg, enum broker_file what)
{
	if (what == BROKER_ACCESS_LOG)
		return open(arg, O_WRONLY | O_CLOEXEC);
	errno = ENXIO;
	return -1;
}

START_TEST(confined_process_gets_files_from_its_broker)
{
	char text[8] = "";
	ck_assert_int_eq(broker_pair(&broker_owner, &broker_client), 0);
	pid_t pid = start_confined(ask);
	close(broker_client);
	struct pollfd p = { .fd = broker_owner, .events = POLLIN };
	while (poll(&p, 1, -1) > 0 && broker_answer(broker_owner, open_one, file))
		;
	expect_success(pid);
	close(broker_owner);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 4);
	ck_assert_str_eq(text, "line");
	close(fd);
}
END_TEST

START_TEST(broker_survives_requests_that_are_none)
{
	ck_assert_int_eq(broker_pair(&broker_owner, &broker_client), 0);
	ck_assert(broker_answer(broker_owner, open_one, file)); /* nothing was asked yet */
	ck_assert_int_eq(send(broker_client, "a", 1, 0), 1);    /* no socket for the answer */
	ck_assert(broker_answer(broker_owner, open_one, file));
	ck_assert_int_eq(send(broker_client, "long", 4, 0), 4);
	ck_assert(broker_answer(broker_owner, open_one, file));
	close(broker_client);
	ck_assert(!broker_answer(broker_owner, open_one, file));
	close(broker_owner);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { confined_process_starts_no_program, dangerous_calls_of_confined_process_fail,
		confined_process_reads_only_what_libraries_need, confined_process_resolves_names,
		confined_process_uses_libcurl, confined_process_hashes_passwords_in_threads, confined_process_can_abort,
		confined_process_gets_files_from_its_broker, broker_survives_requests_that_are_none };
	Suite *suite = suite_create("confine");
	TCase *tc = tcase_create("confine");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
