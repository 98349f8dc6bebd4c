package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.VersionInfo;
import dev.d8.slave.ExecutorRanking;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.version.Checkout;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code d8 slave}: runs tasks that masters send, until it is told to stop. */
@Command(
        name = "slave",
        mixinStandardHelpOptions = true,
        description = "Runs tasks that masters send, until SIGTERM or Ctrl-C.")
final class SlaveCommand implements Callable<Integer> {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveCommand.class);

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final TokenOptions token = new TokenOptions();

    @Option(names = "--host", defaultValue = "127.0.0.1", description = "where to listen (default: ${DEFAULT-VALUE})")
    private String host = "127.0.0.1";

    @Option(names = "--port", defaultValue = "7600", description = "0 takes a free one (default: ${DEFAULT-VALUE})")
    private int port = SlaveServer.DEFAULT_PORT;

    @Option(
            names = "--tls-cert",
            paramLabel = "FILE",
            description = "speak https with this certificate (PEM, with those between it and its CA)")
    private @Nullable Path tlsCert;

    @Option(names = "--tls-key", paramLabel = "FILE", description = "its key (PEM), which others cannot read")
    private @Nullable Path tlsKey;

    @Option(
            names = "--tls-client-ca",
            paramLabel = "FILE",
            description = "let in only masters with a certificate of this CA")
    private @Nullable Path tlsClientCa;

    @Option(
            names = "--insecure-http",
            description = "listen beyond loopback without TLS: the token and the tasks can be read on the way")
    private boolean insecureHttp;

    @Option(
            names = "--executors",
            split = ",",
            paramLabel = "NAME",
            description = "only these, such as docker,venv,python (default: all that are found, best first)")
    private List<String> executors = List.of();

    @Option(
            names = "--repo",
            paramLabel = "DIR",
            description = "the git checkout that says which commit runs (default: the current folder)")
    private Path repo = Path.of("");

    @Option(names = "--commit", paramLabel = "SHA", description = "the commit to report instead (default: D8_COMMIT)")
    private @Nullable String commit;

    @Option(names = "--plugins", paramLabel = "DIR", description = "a folder of plugin jars")
    private @Nullable Path plugins;

    @Option(
            names = "--max-concurrent",
            paramLabel = "N",
            description = "tasks at one time (default: twice the processors, at least 4)")
    private @Nullable Integer maxConcurrent;

    @Option(names = "--queue", paramLabel = "N", description = "tasks that may wait for a slot (default: 256)")
    private @Nullable Integer queue;

    @Option(
            names = "--label",
            paramLabel = "LABEL",
            description =
                    "what tasks may ask for, such as gpu; repeat it for more. arch=, os= and python= are found out")
    private List<String> labels = List.of();

    @Option(
            names = "--abandoned",
            paramLabel = "end|finish",
            defaultValue = "end",
            description = "what becomes of a task without an id whose caller is gone (default: ${DEFAULT-VALUE})")
    private Abandoned abandoned = Abandoned.end;

    private static final Object STOPPING = new Object();

    /** As long as a task may ask for, and more. */
    private static final int MOST_DRAIN = 100_000;

    @Option(
            names = "--drain",
            paramLabel = "SECONDS",
            defaultValue = "20",
            description = "how long a slave that is told to stop lets its tasks finish (default: ${DEFAULT-VALUE})")
    private double drain = 20;

    @Option(
            names = "--audit-log",
            paramLabel = "FILE",
            description = "write who asked for what, and what became of it, to the end of this file (default: nowhere)")
    private @Nullable Path auditLog;

    @Option(
            names = "--allow-update",
            description = {
                "let masters whose token has the scope admin bring the checkout of --repo forward to a commit of the branch",
                "that it follows; the slave then ends with 75, for whoever watches over it to start it again"
            })
    private boolean allowUpdate;

    private final CompletableFuture<SlaveServer> started = new CompletableFuture<>();

    /** What becomes of a task whose caller is gone; spelled as people type it. */
    enum Abandoned {
        end,
        finish
    }

    @Option(
            names = {"-o", "--option"},
            paramLabel = "NAME=VALUE",
            description = "a plugin's setting, such as docker.image=python:3-slim; the README lists them")
    private Map<String, String> options = Map.of();

    @Override
    public Integer call() throws InterruptedException {
        if (allowUpdate && cutOff()) {
            return Main.START_AGAIN;
        }
        SlaveServer slave = start();
        started.complete(slave);
        StopSignals.handle(
                () -> stop(slave, Duration.ofNanos(Math.round(drain * 1e9))), () -> stop(slave, Duration.ZERO));
        PrintWriter out = spec.commandLine().getOut();
        VersionInfo version = slave.version();
        out.println("listening on " + slave.uri());
        out.println("version " + version.version() + ", commit " + version.commit() + ", branch " + version.branch()
                + (version.dirty() ? ", with uncommitted changes" : ""));
        slave.executors()
                .availability()
                .forEach((method, availability) ->
                        out.println("executor " + method + ": " + ExecutorRanking.describe(availability)));
        out.flush();
        if (System.getProperty("user.name").equals("root")) {
            LOG.warn("this slave runs as root, and so do the tasks of the executors python and venv; "
                    + "give it a user of its own");
        }
        new CountDownLatch(1).await();
        return Main.DONE;
    }

    /** Ends the process with 0: a slave that was told to stop and did so is done. */
    private static void stop(SlaveServer slave, Duration patience) {
        int unfinished = slave.unfinished();
        if (patience.isZero() || unfinished == 0) {
            LOG.info("told to stop: takes no new task, ends what runs and answers it");
        } else {
            LOG.info(
                    "told to stop: takes no new task, gives the {} that run or wait {} s; a second signal ends them at once",
                    unfinished,
                    patience.toMillis() / 1000.0);
        }
        if (!patience.isZero()) { // Also where nothing runs: the next task may be on its way.
            try {
                if (!slave.drain(patience)) {
                    LOG.info("ends {} tasks and answers them", slave.unfinished());
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // Then at once.
            }
        }
        close(slave, Main.DONE);
    }

    private static void close(SlaveServer slave, int status) {
        synchronized (STOPPING) { // Of two signals one closes, and the other must not end the JVM meanwhile.
            slave.close();
            LOG.info("stopped");
            Runtime.getRuntime().halt(status);
        }
    }

    /** Returns whether an update was cut off: then what runs here may be half of it. */
    private boolean cutOff() {
        if (MasterOptions.named(commit).isPresent()) {
            throw new ConfigurationException(
                    "--allow-update: the commit is set by --commit or D8_COMMIT, so nobody could "
                            + "see that the slave has been updated (expected: one of the two)");
        }
        QuietGit.install();
        return checkout().recover();
    }

    private Checkout checkout() {
        return Checkout.of(repo.toAbsolutePath());
    }

    /** On a thread of its own: the caller's answer is still to go out. */
    private void startAgain() {
        new Thread(
                        () -> {
                            LOG.info("ends with {}, to be started again", Main.START_AGAIN);
                            close(started.join(), Main.START_AGAIN);
                        },
                        "d8-restart")
                .start();
    }

    private SlaveServer start() {
        if (!(drain >= 0 && drain <= MOST_DRAIN)) {
            throw new ConfigurationException("--drain: " + drain + " (expected: seconds, 0 to " + MOST_DRAIN + ")");
        }
        Map<String, String> all = new HashMap<>(options);
        MasterOptions.put(all, "http.tls_cert", tlsCert);
        MasterOptions.put(all, "http.tls_key", tlsKey);
        MasterOptions.put(all, "http.tls_client_ca", tlsClientCa);
        Optional<AuditFile> audit = Optional.ofNullable(auditLog).map(file -> new AuditFile(file, AuditFile.FULL));
        hideSecrets(all); // The file is there now.
        PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        SlaveServer.Builder builder = SlaveServer.builder()
                .bind(bind(all.containsKey("http.tls_cert") ? "https" : "http"))
                .insecureHttp(insecureHttp)
                .grants(token.grants(beyondLoopback()))
                .executors(executors)
                .labels(labels)
                .options(Options.of(all))
                .endAbandoned(abandoned == Abandoned.end)
                .meterRegistry(meters)
                .metrics(meters::scrape)
                .version(MasterOptions.version(commit, repo));
        audit.ifPresent(builder::audit);
        if (allowUpdate) {
            builder.allowUpdate(checkout(), this::startAgain);
        }
        if (plugins != null) {
            builder.plugins(plugins);
        }
        if (maxConcurrent != null) {
            builder.maxConcurrent(maxConcurrent);
        }
        if (queue != null) {
            builder.queueCapacity(queue);
        }
        return builder.start();
    }

    /** What tasks must not read is out of their sight, where they have a view of their own. */
    private void hideSecrets(Map<String, String> all) {
        Path key = all.containsKey("http.tls_key") ? Path.of(all.get("http.tls_key")) : null;
        String secrets = Stream.concat(
                        token.files().stream(),
                        Stream.of(key, auditLog)
                                .flatMap(Stream::ofNullable)
                                .filter(Files::isRegularFile)
                                .map(file -> file.toAbsolutePath().normalize()))
                .map(Path::toString)
                .collect(Collectors.joining(","));
        if (!secrets.isEmpty()) {
            for (String executor : List.of("python.hide", "venv.hide")) {
                all.merge(executor, secrets, (own, more) -> own + "," + more);
            }
        }
    }

    private boolean beyondLoopback() {
        try {
            return !InetAddress.getByName(host).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return true; // It will not start, and says why.
        }
    }

    private URI bind(String scheme) {
        if (port < 0 || port > 65535) {
            throw new ConfigurationException("--port: " + port + " (expected: 0 to 65535)");
        }
        try {
            return new URI(scheme, null, host, port, null, null, null);
        } catch (URISyntaxException e) {
            throw new ConfigurationException("--host: \"" + host + "\" (expected: a host name or address)", e);
        }
    }
}
