package dev.d8.launcher;

import static org.junit.jupiter.api.Assertions.fail;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.HealthCheck;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.images.builder.ImageFromDockerfile;

/**
 * The image that the {@code Dockerfile} makes of what this build has compiled, and a network of its own for its containers.
 * The base is {@code D8_BASE_IMAGE}, which {@code scripts/docker-engine base} makes of Debian packages.
 */
final class SlaveImage implements AutoCloseable {

    private final String name;
    private final Network network = Network.builder()
            .createNetworkCmdModifier(cmd -> cmd.withInternal(true))
            .build();

    private SlaveImage(String name) {
        this.name = name;
    }

    /**
     * Builds it in a folder that gets what the repository has where a person builds it.
     *
     * @param secret what lies in {@code .env} files beside it and must not come into the image
     */
    static SlaveImage build(Path context, String commit, String secret) throws Exception {
        String base = Optional.ofNullable(System.getenv("D8_BASE_IMAGE")).orElse("d8/base:17");
        require(base);
        Path classes = Path.of(
                Main.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Path module = Objects.requireNonNull(classes.getParent()).getParent();
        Path repository = Objects.requireNonNull(module).resolve("../..");
        for (String file : List.of("Dockerfile", ".dockerignore", "d8")) {
            Files.copy(repository.resolve(file), context.resolve(file));
        }
        Path built = Files.createDirectories(context.resolve("d8-examples/launcher/target/d8"));
        assemble(classes, built);
        for (Path folder : List.of(context, built)) {
            Files.writeString(folder.resolve(".env"), "SLAVE_TOKEN=" + secret + "\n");
        }
        String image = new ImageFromDockerfile("d8/slave-test:" + UUID.randomUUID(), false)
                .withDockerfile(context.resolve("Dockerfile"))
                .withBuildArg("BASE", base)
                .withBuildArg("COMMIT", commit)
                .withBuildImageCmdModifier(cmd -> cmd.withForcerm(true))
                .get();
        return new SlaveImage(image);
    }

    /** Fails or skips the test where it cannot run. */
    private static void require(String base) {
        String missing;
        if (!DockerClientFactory.instance().isDockerAvailable()) {
            missing = "no Docker engine";
        } else {
            try {
                client().inspectImageCmd(base).exec();
                return;
            } catch (NotFoundException e) {
                missing = "no image " + base;
            }
        }
        String words = "NO CONTAINER TESTS: " + missing
                + " [scripts/docker-engine start && scripts/docker-engine base && eval \"$(scripts/docker-engine env)\"]";
        if ("required".equals(System.getProperty("d8.docker"))) {
            fail(words);
        }
        System.err.println(words);
        Assumptions.abort(words);
    }

    /** Lays out what Maven lays out only after the tests: {@code d8.jar}, which names the jars in {@code lib}. */
    private static void assemble(Path classes, Path built) throws IOException {
        Path lib = Files.createDirectory(built.resolve("lib"));
        List<String> names = new ArrayList<>();
        for (String entry :
                Files.readString(Path.of("target", "runtime.classpath")).strip().split(File.pathSeparator)) {
            Path part = Path.of(entry);
            // A module that is not packaged yet is a folder: .../d8-core/target/classes.
            String jar = Files.isDirectory(part)
                    ? part.getName(part.getNameCount() - 3) + ".jar"
                    : String.valueOf(part.getFileName());
            if (Files.isDirectory(part)) {
                jar(part, lib.resolve(jar), new Manifest());
            } else {
                Files.copy(part, lib.resolve(jar));
            }
            names.add("lib/" + jar);
        }
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, Main.class.getName());
        manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, String.join(" ", names));
        jar(classes, built.resolve("d8.jar"), manifest);
    }

    private static void jar(Path folder, Path jar, Manifest manifest) throws IOException {
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream zip = new JarOutputStream(out, manifest);
                Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                zip.putNextEntry(new JarEntry(folder.relativize(file).toString()));
                Files.copy(file, zip);
                zip.closeEntry();
            }
        }
    }

    static DockerClient client() {
        return DockerClientFactory.lazyClient();
    }

    String name() {
        return name;
    }

    String network() {
        return network.getId();
    }

    /** Returns a slave with the walls of {@code compose.yaml}, not started; once it is, it is healthy. */
    GenericContainer<?> slave(String token) {
        return new GenericContainer<>(name)
                .withNetwork(network)
                .withEnv("SLAVE_TOKEN", token)
                .withCommand("slave", "--host", "0.0.0.0", "--insecure-http", "--drain", "1")
                .withTmpFs(Map.of("/tmp", "exec,nosuid,nodev,size=256m"))
                .withCreateContainerCmdModifier(cmd -> {
                    cmd.withHealthcheck(new HealthCheck()
                            .withInterval(Duration.ofMillis(500).toNanos())); // The rest is the image's.
                    Objects.requireNonNull(cmd.getHostConfig())
                            .withReadonlyRootfs(true)
                            .withCapDrop(Capability.ALL)
                            .withSecurityOpts(List.of("no-new-privileges:true"))
                            .withPidsLimit(1024L)
                            .withMemory(1L << 30);
                })
                .waitingFor(Wait.forHealthcheck().withStartupTimeout(Duration.ofSeconds(60)));
    }

    @Override
    public void close() {
        network.close();
        client().removeImageCmd(name).withForce(true).exec();
    }
}
