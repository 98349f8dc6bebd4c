package dev.d8.executor.docker;

import com.github.dockerjava.api.model.Info;
import java.util.ArrayList;
import java.util.List;

/** What stands around a container: what we ask for, less what an engine says that it cannot do. */
final class Walls {

    /** Docker 20.10 speaks API 1.41; older ones get no fixes any more. */
    private static final int OLDEST_API_MINOR = 41;

    private Walls() {}

    static void requireApi(String version) throws NotReadyException {
        String[] parts = version.split("\\.", -1);
        try {
            if (Integer.parseInt(parts[0]) > 1 || Integer.parseInt(parts[1]) >= OLDEST_API_MINOR) {
                return;
            }
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
            // Told below.
        }
        throw new NotReadyException("the Docker engine speaks API " + version + " (expected: 1." + OLDEST_API_MINOR
                + " or later). Update it to Docker 20.10 or later");
    }

    /** Returns what stands around the containers of one shape. */
    static List<String> of(ReadyEngine engine, Shape shape, DockerSettings settings) {
        List<String> widened = new ArrayList<>(engine.walls());
        if (!settings.network().equals(DockerSettings.NO_NETWORK)) {
            widened.add("network_" + settings.network());
        }
        shape.mount().filter(WorkingDirs.Mount::writable).ifPresent(mount -> widened.add("working_dir_writable"));
        return widened;
    }

    /** Returns what stands around every container of an engine. */
    static List<String> of(DockerSettings settings, Info info) {
        List<String> walls = new ArrayList<>(List.of("container"));
        if (settings.network().equals(DockerSettings.NO_NETWORK)) {
            walls.add("no_network");
        }
        walls.addAll(List.of("read_only_root", "cap_drop_all", "no_new_privileges", "private_ipc"));
        List<String> security = info.getSecurityOptions() == null ? List.of() : info.getSecurityOptions();
        if (security.stream().anyMatch(option -> option.matches("name=seccomp,profile=(default|builtin).*"))) {
            walls.add("seccomp_default");
        }
        if (security.stream().anyMatch(option -> option.startsWith("name=rootless"))) {
            walls.add("rootless");
        }
        walls.add("user_" + settings.user().replaceAll(":.*", ""));
        if (Boolean.TRUE.equals(info.getRawValues().get("PidsLimit"))) {
            walls.add("pids_limit");
        }
        if (Boolean.TRUE.equals(info.getMemoryLimit())) {
            walls.add("memory_limit");
        }
        if (Boolean.TRUE.equals(info.getCpuCfsQuota())) {
            walls.add("cpu_limit");
        }
        return walls;
    }
}
