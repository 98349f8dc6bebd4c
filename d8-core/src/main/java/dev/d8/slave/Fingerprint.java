package dev.d8.slave;

import dev.d8.Invocation;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;

/** What tells two tasks of one id apart: a hash of all that they ask for, so that the task itself need not be kept. */
final class Fingerprint {

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
        print.add(invocation.limits().toString());
        print.add(invocation.timeout().toString());
        print.add(invocation.method());
        print.add(invocation.minIsolation().name());
        try {
            return MessageDigest.getInstance("SHA-256").digest(print.all.toByteArray());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // Every JDK has it.
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
