package dev.d8.slave;

import dev.d8.Invocation;
import dev.d8.Limits;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/** What tells two tasks of one id apart: a hash of all that they ask for, so that the task itself need not be kept. */
final class Fingerprint {

    /** Cloned for each, since to look for the algorithm takes longer than to use it. */
    private static final MessageDigest UNUSED = sha256();

    private final ByteArrayOutputStream all = new ByteArrayOutputStream(256);

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
        print.all.write(0);
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
        return print.digest();
    }

    private byte[] digest() {
        try {
            return ((MessageDigest) UNUSED.clone()).digest(all.toByteArray());
        } catch (CloneNotSupportedException e) {
            throw new IllegalStateException(e); // The JDK's own can be cloned.
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // Every JDK has it.
        }
    }

    private void add(OptionalLong number) {
        all.write(number.isPresent() ? 1 : 0);
        for (int shift = 56; shift >= 0; shift -= 8) {
            all.write((int) (number.orElse(0) >> shift));
        }
    }

    private void add(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        all.write(1);
        for (int shift = 24; shift >= 0; shift -= 8) {
            all.write(bytes.length >> shift);
        }
        all.writeBytes(bytes);
    }

    private void add(Optional<String> text) {
        text.ifPresent(this::add);
        all.write(0);
    }

    private void add(List<String> texts) {
        texts.forEach(this::add);
        all.write(0);
    }
}
