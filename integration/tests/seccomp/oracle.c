/*
 * Builds seccomp filters with libseccomp for the differential test.
 *
 * Commands, one a line, on standard input; numbers are decimal:
 *
 *   new DEFAULT OPTIMIZE        begin a filter of the native architecture
 *   arch TOKEN                  add an SCMP_ARCH_* architecture
 *   only TOKEN                  cover that architecture instead of the native one
 *   rule ACTION NAME N {INDEX OP A B}*N
 *   build                       answers "ok LEN" and LEN lines "CODE JT JF K",
 *                               or "error ERRNO RULE" if something failed, RULE
 *                               being the number of rules before
 *   name TOKEN NR               answers "name NAME", or "name -"
 *   known NAME                  answers "known 1" or "known 0"
 *
 * A rule whose name libseccomp does not know is left out, as runc does.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONDITIONS 6

/* Seconds that a filter may take: libseccomp can loop for ever over rules that
 * contradict each other. SIGALRM then ends the program. */
#define DEADLINE 5

static scmp_filter_ctx filter;
static int failure, failed_rule, rules;

static void note(int rc)
{
	if (rc < 0 && failure == 0) {
		failure = -rc;
		failed_rule = rules;
	}
}

/* The next word of the command. */
static char *word(void)
{
	char *next = strtok(NULL, " ");

	if (next == NULL)
		exit(2);
	return next;
}

static uint64_t number(void)
{
	return strtoull(word(), NULL, 10);
}

static void begin(void)
{
	uint32_t action = number();

	if (filter != NULL)
		seccomp_release(filter);
	alarm(DEADLINE);
	failure = rules = 0;
	filter = seccomp_init(action);
	if (filter == NULL)
		exit(3);
	note(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, number()));
}

static void add_arch(void)
{
	int rc = seccomp_arch_add(filter, number());

	if (rc != -EEXIST)
		note(rc);
}

static void cover_only(void)
{
	note(seccomp_arch_remove(filter, SCMP_ARCH_NATIVE));
	note(seccomp_arch_add(filter, number()));
}

static void add_rule(void)
{
	struct scmp_arg_cmp conditions[MAX_CONDITIONS];
	uint32_t action = number();
	int nr = seccomp_syscall_resolve_name(word());
	unsigned int count = number();

	if (count > MAX_CONDITIONS)
		exit(2);
	for (unsigned int i = 0; i < count; i++) {
		conditions[i].arg = number();
		conditions[i].op = number();
		conditions[i].datum_a = number();
		conditions[i].datum_b = number();
	}
	if (nr != __NR_SCMP_ERROR)
		note(seccomp_rule_add_array(filter, action, nr, count, conditions));
	rules++;
}

static void build(void)
{
	struct sock_filter instruction;
	FILE *file = tmpfile();

	if (file == NULL)
		exit(4);
	if (failure == 0)
		note(seccomp_export_bpf(filter, fileno(file)));
	if (failure != 0) {
		printf("error %d %d\n", failure, failed_rule);
	} else {
		printf("ok %ld\n", (long)(lseek(fileno(file), 0, SEEK_END) / sizeof instruction));
		rewind(file);
		while (fread(&instruction, sizeof instruction, 1, file) == 1)
			printf("%u %u %u %u\n", instruction.code, instruction.jt,
			       instruction.jf, instruction.k);
	}
	fclose(file);
	alarm(0);
}

static void print_name(void)
{
	uint32_t token = number();
	char *name = seccomp_syscall_resolve_num_arch(token, number());

	printf("name %s\n", name == NULL ? "-" : name);
	free(name);
}

int main(void)
{
	static char line[4096];

	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char *command = strtok(line, " ");

		if (command == NULL)
			return 2;
		if (strcmp(command, "new") == 0)
			begin();
		else if (strcmp(command, "arch") == 0)
			add_arch();
		else if (strcmp(command, "only") == 0)
			cover_only();
		else if (strcmp(command, "rule") == 0)
			add_rule();
		else if (strcmp(command, "build") == 0)
			build();
		else if (strcmp(command, "name") == 0)
			print_name();
		else if (strcmp(command, "known") == 0)
			printf("known %d\n", seccomp_syscall_resolve_name(word()) != __NR_SCMP_ERROR);
		else
			return 2;
		fflush(stdout);
	}
	return 0;
}
