package dev.d8.executor.docker;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.command.InspectVolumeResponse;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.Volume;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An {@code /etc/hosts} for containers without a network. An engine writes one together with a network sandbox, whose making
 * is most of a container's start and which such a container has no use for; without both, no program finds {@code
 * localhost}. So the file is laid into a volume of the engine's, whose place on the engine's machine can be mounted from.
 * Thread-safe.
 */
final class HostsFile {

    private static final Logger LOG = LoggerFactory.getLogger(HostsFile.class);

    private static final String VOLUME = "d8-hosts";
    private static final String NAME = "hosts";
    private static final int MOST_FAILURES = 2;
    private static final String CONTENT = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

    /**
     * Where it lies.
     *
     * @param path on the engine's machine
     * @param number how often it had been laid until then: the path may be the same again
     */
    record Place(String path, int number) {}

    private int laid;
    private volatile @Nullable Place place;
    private volatile int failures;

    /** Returns where it is; nothing where it cannot be had. */
    Optional<Place> place() {
        return Optional.ofNullable(place);
    }

    /** Returns whether it is done without from now on. */
    boolean givenUp() {
        return failures >= MOST_FAILURES;
    }

    /** Tells that a container was made with it. */
    void worked() {
        failures = 0;
    }

    /** Tells that it lies there now. */
    synchronized void laid(String path) {
        laid++;
        place = new Place(path, laid);
    }

    /**
     * Tells that none could be made with it: it has to be laid anew, and if that does not help, it is done without. Of
     * containers that were being made at once with what was laid once, the first counts.
     */
    synchronized void failed(Place with, String why) {
        if (with.equals(place)) {
            failed(why);
        }
    }

    private synchronized void failed(String why) {
        place = null;
        failures++;
        if (failures == MOST_FAILURES) {
            LOG.info("each container gets a network sandbox, which makes its start longer: {}", why);
        }
    }

    /** Sees to it that it is there. Blocks for a few calls of the engine, the first time for some more. */
    void prepare(Containers containers, DockerClient client, String image) {
        if (givenUp()) {
            return;
        }
        try {
            if (place == null || !exists(client)) {
                laid(lay(containers, client, image) + "/" + NAME);
            }
        } catch (NotFoundException e) {
            place = null; // The image is missing, which others tell better.
        } catch (RuntimeException | IOException e) {
            failed(EngineTrouble.words(e));
        }
    }

    private static boolean exists(DockerClient client) {
        try {
            return client.inspectVolumeCmd(VOLUME).exec() != null;
        } catch (NotFoundException e) {
            return false; // Somebody has cleared up.
        }
    }

    /** Writes the file through a container that is never started; returns the directory that it is in. */
    private static String lay(Containers containers, DockerClient client, String image) throws IOException {
        client.createVolumeCmd()
                .withName(VOLUME)
                .withLabels(Map.of("d8", "the hosts file of containers without a network"))
                .exec();
        InspectVolumeResponse volume = client.inspectVolumeCmd(VOLUME).exec();
        String container = containers.create(
                client,
                client.createContainerCmd(image)
                        .withEntrypoint("true")
                        .withNetworkDisabled(true)
                        .withHostConfig(HostConfig.newHostConfig().withBinds(new Bind(VOLUME, new Volume("/d8")))));
        try {
            Path directory = Files.createTempDirectory("d8-hosts");
            Path file = directory.resolve(NAME);
            try {
                Files.writeString(file, CONTENT);
                client.copyArchiveToContainerCmd(container)
                        .withHostResource(file.toString())
                        .withRemotePath("/d8")
                        .exec();
            } finally {
                Files.deleteIfExists(file);
                Files.deleteIfExists(directory);
            }
        } finally {
            containers.removeNow(
                    client, container); // With the volumes that its image wants; ours has a name and stays.
        }
        return volume.getMountpoint();
    }
}
