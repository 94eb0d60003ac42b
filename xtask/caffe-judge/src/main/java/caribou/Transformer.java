package caribou;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.caffe.BlobProto;
import org.bytedeco.caffe.Datum;
import org.bytedeco.caffe.FloatBlob;
import org.bytedeco.caffe.FloatDataTransformer;
import org.bytedeco.caffe.TransformationParameter;
import org.bytedeco.caffe.global.caffe;

/** What Caffe's data layers do to images, by its own {@code DataTransformer}. */
final class Transformer {
    private static final List<String> OPTIONS = List.of("mean_file", "mean_value", "scale", "crop");

    private Transformer() {}

    /** The images {@code [N, C, H, W]} as a data layer with the request's options gives them. */
    static Npy transformed(Npy images, Request request) {
        if (OPTIONS.stream().noneMatch(request::has)) {
            return images;
        }
        TransformationParameter parameters = new TransformationParameter();
        if (request.has("mean_file")) {
            parameters.set_mean_file(request.only("mean_file"));
        }
        for (String value : request.all("mean_value")) {
            parameters.add_mean_value(Float.parseFloat(value));
        }
        if (request.has("scale")) {
            parameters.set_scale(Float.parseFloat(request.only("scale")));
        }
        int[] shape = images.shape().clone();
        if (request.has("crop")) {
            int size = Integer.parseInt(request.only("crop"));
            parameters.set_crop_size(size);
            shape[2] = size;
            shape[3] = size;
        }
        FloatDataTransformer transformer = new FloatDataTransformer(parameters, caffe.TEST);
        int before = images.values().length / images.shape()[0];
        int after = shape[1] * shape[2] * shape[3];
        float[] values = new float[shape[0] * after];
        FloatBlob blob = new FloatBlob(1, shape[1], shape[2], shape[3]);
        for (int i = 0; i < shape[0]; i++) {
            Datum datum = new Datum();
            datum.set_channels(images.shape()[1]);
            datum.set_height(images.shape()[2]);
            datum.set_width(images.shape()[3]);
            for (float value : Arrays.copyOfRange(images.values(), i * before, (i + 1) * before)) {
                datum.add_float_data(value);
            }
            transformer.Transform(datum, blob);
            blob.cpu_data().get(values, i * after, after);
        }
        return new Npy(shape, values);
    }

    /** Writes a mean image as Caffe's tool {@code compute_image_mean} does. */
    static void saveMean(Npy image, String path) {
        FloatBlob blob = new FloatBlob(1, image.shape()[0], image.shape()[1], image.shape()[2]);
        blob.mutable_cpu_data().put(image.values());
        BlobProto proto = new BlobProto();
        blob.ToProto(proto);
        caffe.WriteProtoToBinaryFile(proto, path);
    }
}
