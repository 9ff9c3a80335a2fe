import { project } from "../../vitest.project.ts";

export default project("plugin-model-t5");
