package dev.d8.slave;

import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.internal.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/** What tells two tasks of one id apart: a hash of all that they ask for, so that the task itself need not be kept. */
final class Fingerprint {

    private static final byte[] END = {0};

    private final MessageDigest digest = Sha256.begin();

    /** A flag and a number. */
    private final ByteBuffer item = ByteBuffer.allocate(1 + Long.BYTES);

    private Fingerprint() {}

    /** Returns the same bytes for what is equal but for the id, and others for everything else, SHA-256. */
    static byte[] of(Invocation invocation) {
        Fingerprint print = new Fingerprint();
        print.add(invocation.runtime());
        print.add(invocation.source());
        print.add(invocation.args());
        print.add(invocation.workingDir());
        new TreeMap<>(invocation.env()).forEach((name, value) -> {
            print.add(name);
            print.add(value);
        });
        print.digest.update(END);
        print.add(invocation.stdin());
        print.add(invocation.requirements());
        print.add(invocation.image());
        Limits limits = invocation.limits();
        print.add(limits.memoryBytes());
        print.add(limits.cpuTime().map(Duration::toNanos).map(OptionalLong::of).orElse(OptionalLong.empty()));
        print.add(limits.processes());
        print.add(limits.outputBytes());
        print.add(limits.fileBytes());
        print.add(OptionalLong.of(invocation.timeout().toNanos()));
        print.add(invocation.method());
        print.add(invocation.minIsolation().name());
        return print.digest.digest();
    }

    private void add(OptionalLong number) {
        item.clear().put((byte) (number.isPresent() ? 1 : 0)).putLong(number.orElse(0));
        digest.update(item.array());
    }

    private void add(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        item.clear().put((byte) 1).putInt(bytes.length);
        digest.update(item.array(), 0, item.position());
        digest.update(bytes);
    }

    private void add(Optional<String> text) {
        text.ifPresent(this::add);
        digest.update(END);
    }

    private void add(List<String> texts) {
        texts.forEach(this::add);
        digest.update(END);
    }
}
