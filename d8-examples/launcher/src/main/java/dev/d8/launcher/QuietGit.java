package dev.d8.launcher;

import java.util.concurrent.TimeUnit;
import org.eclipse.jgit.lib.Config;
import org.eclipse.jgit.lib.ConfigConstants;
import org.eclipse.jgit.storage.file.FileBasedConfig;
import org.eclipse.jgit.util.FS;
import org.eclipse.jgit.util.SystemReader;
import org.jspecify.annotations.Nullable;

/**
 * Keeps JGit from running {@code git}, measuring the file system and writing to the home directory, which takes seconds.
 * Only a repository's own configuration counts. The switch is the process's, so this is for a program, not a library.
 */
final class QuietGit {

    private QuietGit() {}

    /** Call it before JGit is used; only the first use loads JGit. */
    static void install() {
        SystemReader.setInstance(new SystemReader.Delegate(SystemReader.getInstance()) {
            @Override
            public FileBasedConfig openSystemConfig(Config parent, FS fs) {
                return new Nothing(parent, fs);
            }

            @Override
            public FileBasedConfig openUserConfig(Config parent, FS fs) {
                return new Nothing(parent, fs);
            }

            @Override
            public FileBasedConfig openJGitConfig(Config parent, FS fs) {
                return new Nothing(parent, fs);
            }
        });
    }

    /** A configuration without a file, which says how coarse the file system's clock is so that nobody measures it. */
    private static final class Nothing extends FileBasedConfig {

        /** What JGit itself assumes where it cannot measure. */
        private static final long CLOCK_SECONDS = 2;

        Nothing(@Nullable Config parent, FS fs) {
            super(parent, null, fs);
        }

        @Override
        public boolean isOutdated() {
            return false;
        }

        @Override
        public void load() {}

        @Override
        public void save() {}

        @Override
        public long getTimeUnit(
                String section, @Nullable String subsection, String name, long defaultValue, TimeUnit unit) {
            return section.equals(ConfigConstants.CONFIG_FILESYSTEM_SECTION)
                    ? unit.convert(CLOCK_SECONDS, TimeUnit.SECONDS)
                    : super.getTimeUnit(section, subsection, name, defaultValue, unit);
        }
    }
}
