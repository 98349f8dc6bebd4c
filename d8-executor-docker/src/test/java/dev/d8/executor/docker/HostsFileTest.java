package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** When the hosts file is laid anew, and when it is done without. Needs no engine. */
class HostsFileTest {

    private final HostsFile hosts = new HostsFile();

    private HostsFile.Place laid() {
        hosts.laid("/var/lib/docker/volumes/d8-hosts/_data/hosts");
        return hosts.place().orElseThrow();
    }

    @Test
    void many_containers_that_fail_with_what_was_laid_once_are_one_failure() {
        HostsFile.Place removed = laid();
        hosts.failed(removed, "no such file");
        hosts.failed(removed, "no such file");
        assertThat(hosts.place()).isEmpty();

        HostsFile.Place anew = laid();
        hosts.failed(removed, "no such file, told late");
        assertThat(hosts.place()).contains(anew);
        assertThat(hosts.givenUp()).isFalse();
    }

    @Test
    void what_does_not_help_when_it_is_laid_anew_is_done_without() {
        hosts.failed(laid(), "no such file");
        hosts.failed(laid(), "no such file");
        assertThat(hosts.givenUp()).isTrue();
    }

    @Test
    void what_works_in_between_starts_the_count_anew() {
        hosts.failed(laid(), "no such file");
        laid();
        hosts.worked();
        hosts.failed(laid(), "no such file");
        assertThat(hosts.givenUp()).isFalse();
    }
}
